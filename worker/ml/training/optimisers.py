"""Optimisers, learning rates as pure functions of the step, and the state of both as plain tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from worker.ml.training.task import OptimiserSettings, ScheduleSettings


def learning_rate(settings: OptimiserSettings, schedule: ScheduleSettings, step: int, steps: int) -> float:
    """The learning rate of a step.

    Args:
        step: of the phase, from 0.
        steps: that the phase has in all.
    """
    if step < schedule.warmup_steps:
        # The first step already learns a little, and the first after the warm-up at the full rate.
        return settings.learning_rate * (step + 1) / (schedule.warmup_steps + 1)
    done = step - schedule.warmup_steps
    share = min(1.0, done / max(1, steps - schedule.warmup_steps - 1))
    if schedule.kind == "cosine":
        fall = schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * share)) / 2
    elif schedule.kind == "exponential":
        fall = max(schedule.final, 1e-8) ** share
    elif schedule.kind == "steps":
        fall = schedule.factor ** (step // schedule.every_steps)
    else:
        fall = 1.0
    return settings.learning_rate * fall


def make_optimiser(
    settings: OptimiserSettings, parameters: Sequence[nn.Parameter], *, fused: bool = True
) -> torch.optim.Optimizer:
    """An optimiser for these parameters, without state.

    Args:
        fused: one pass over the weights in place of ten, where torch has that; not together with a scaler.
    """
    rate, decay, first = settings.learning_rate, settings.weight_decay, settings.betas[0]
    together = fused and all(parameter.is_floating_point() for parameter in parameters)
    if settings.name == "adam":
        return torch.optim.Adam(
            parameters, rate, betas=settings.betas, eps=settings.eps, weight_decay=decay, fused=together
        )
    if settings.name == "adamw":
        return torch.optim.AdamW(
            parameters, rate, betas=settings.betas, eps=settings.eps, weight_decay=decay, fused=together
        )
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, eps=settings.eps, weight_decay=decay)
    return torch.optim.SGD(parameters, rate, momentum=first, weight_decay=decay, fused=together)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """For the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """What an optimiser remembers, as `<name of the parameter>/<what>`.

    Args:
        names: of its parameters, in their order.
    """
    parameters = optimiser.param_groups[0]["params"]
    return {
        f"{name}/{what}": value
        for name, parameter in zip(names, parameters, strict=True)
        for what, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, names: Sequence[str], tensors: Mapping[str, torch.Tensor]
) -> None:
    """The opposite of `optimiser_tensors`.

    Raises:
        KeyError: a tensor is of none of these parameters.
    """
    places = {name: place for place, name in enumerate(names)}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, what = key.rpartition("/")
        state.setdefault(places[name], {})[what] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
