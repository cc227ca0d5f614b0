"""Networks that a training begins with: fresh ones from a recipe's sizes, and those of registered models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from core.training.parts import Loop, Optimiser, Schedule, Sizes
from worker.ml.errors import ModelError, RecipeError
from worker.ml.model_folders import DECODER, ENCODER, PAIR, read_config_values
from worker.ml.networks.catalogue import KINDS, load_network
from worker.ml.networks.pretrained import Encoder, Network, config_from
from worker.ml.training.task import OptimiserSettings, Phase, ScheduleSettings

N = TypeVar("N", bound=Network)


def fresh_network(kind: type[N], sizes: Sizes, seed: int, **fixed: Any) -> N:
    """A network with weights that the seed decides, whatever was drawn before.

    Args:
        fixed: values of its configuration that do not come from the recipe's sizes.

    Raises:
        RecipeError: sizes that the network does not have, or refuses.
    """
    try:
        config = config_from(kind.Config, {**sizes, **fixed})
        with seeded(seed):
            return kind(config)
    except (ValueError, TypeError, RuntimeError, IndexError, AttributeError, ZeroDivisionError) as failure:
        reason = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
        raise RecipeError(f"The sizes in the recipe make no {kind.kind}: {reason}.") from failure


def load_model(models: Mapping[str, Path], reference: str, device: str, kind: type[N], what: str) -> N:
    """A registered network, frozen; of a pair, the part of that kind.

    Args:
        what: it is for, for the message: `the face encoder`.

    Raises:
        RecipeError: a model of another kind.
        ModelError: it cannot be loaded.
    """
    network = load_network(_folder_of(models, reference, kind), device)
    if not isinstance(network, kind):
        raise RecipeError(
            f"{reference} is of the kind {network.kind}, and {what} has to be {_described(kind)}. Name another model."
        )
    return network


def start_from(
    network: N,
    models: Mapping[str, Path],
    reference: str | None,
    sizes: Sizes,
    what: str = "parent",
    ours: tuple[str, ...] = ("embedding_space",),
) -> N:
    """The network with the weights of a registered one; itself where there is none.

    The registered one's sizes count where the recipe leaves them open, and are not to differ from those it names.

    Args:
        ours: values of the configuration that this training decides, and not the earlier one.

    Raises:
        RecipeError: another kind of network, or other sizes.
    """
    if reference is None:
        return network
    earlier = load_model(models, reference, "cpu", type(network), f"the {what}")
    for name, value in sizes.items():
        if getattr(earlier.config, name, value) != value:
            raise RecipeError(
                f"The {what} {reference} has {name} {getattr(earlier.config, name)} and the recipe says {value}. "
                f"Leave {name} out of the recipe's sizes, or start without a {what}."
            )
    decided = {name: getattr(network.config, name) for name in ours if hasattr(network.config, name)}
    started = type(network)(replace(earlier.config, **decided))
    started.load_state_dict(earlier.state_dict())
    return started


def frozen(network: N) -> N:
    """Without gradients and in evaluation mode, for good: `train()` of whatever holds it does not reach it."""
    return network.requires_grad_(False).eval()


def phase_of(name: str, loop: Loop) -> Phase:
    """The engine's words for a loop of a spec."""
    return Phase(
        name=name,
        epochs=loop.epochs,
        batch=loop.batch,
        optimiser=_optimiser(loop.optimiser),
        schedule=_schedule(loop.schedule),
        max_steps=loop.max_steps,
        clip_norm=loop.clip_norm,
        patience=loop.patience,
    )


def encoder_of(models: Mapping[str, Path], reference: str, device: str, side: str) -> Encoder:
    """Any registered encoder of voices or of faces."""
    encoder = load_model(models, reference, device, Encoder, f"the {side} encoder")
    if encoder.input != side:
        raise RecipeError(f"{reference} encodes {encoder.input}s and not {side}s. Name another model.")
    return encoder


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What is drawn inside is decided by the seed, and changes nothing of what is drawn afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _folder_of(models: Mapping[str, Path], reference: str, kind: type[Network]) -> Path:
    if reference not in models:
        raise ModelError("model_not_found", f"There is no folder of the model {reference} here.")
    folder = models[reference]
    if read_config_values(folder).get("kind") != PAIR:
        return folder
    for part in (folder / ENCODER, folder / DECODER):
        if issubclass(_class_in(part), kind):
            return part
    return folder / ENCODER


def _class_in(folder: Path) -> type[Network]:
    found = KINDS.get(str(read_config_values(folder).get("kind")))
    return found.network_class() if found else Network


def _described(kind: type[Network]) -> str:
    return getattr(kind, "kind", "") or {"Encoder": "an encoder", "Decoder": "a decoder"}.get(
        kind.__name__, kind.__name__
    )


def _optimiser(values: Optimiser) -> OptimiserSettings:
    return OptimiserSettings(values.name, values.learning_rate, values.betas, values.eps, values.weight_decay)


def _schedule(values: Schedule) -> ScheduleSettings:
    return ScheduleSettings(**values.model_dump())
