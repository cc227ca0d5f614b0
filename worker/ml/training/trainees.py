"""A player while it is trained: its network with optimiser, average and scaler, and all of that as named tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from worker.ml.training.averages import Average
from worker.ml.training.optimisers import make_optimiser, optimiser_tensors, restore_optimiser
from worker.ml.training.task import OptimiserSettings, Player


class Trainee:
    """A player through all phases.

    Attributes:
        number: of the player in its task.
        average: of its weights; None where none is kept.
        parameters, names: what is trained in this phase. Empty: it sits this one out.
        optimiser, scaler: of this phase.
    """

    def __init__(self, number: int, player: Player) -> None:
        self.number, self.player = number, player
        self.average: Average | None = None
        self.parameters: list[nn.Parameter] = []
        self.names: list[str] = []
        self.optimiser: torch.optim.Optimizer | None = None
        self.scaler: GradScaler | None = None

    @property
    def name(self) -> str:
        """Of the player."""
        return self.player.name

    @property
    def network(self) -> nn.Module:
        """Of the player."""
        return self.player.network

    def begin_average(self) -> None:
        """Keep an average from now on, if it is to have one and has none."""
        if self.player.average is not None and self.average is None:
            self.average = Average(self.network, self.player.average)

    def begin_phase(self, settings: OptimiserSettings, scaler: GradScaler | None) -> None:
        """Train what requires gradients now, with a fresh optimiser."""
        trained = [(name, value) for name, value in self.network.named_parameters() if value.requires_grad]
        self.names, self.parameters = [name for name, _ in trained], [value for _, value in trained]
        self.optimiser = (
            make_optimiser(settings, self.parameters, fused=scaler is None) if self.parameters else None
        )
        self.scaler = scaler
        self.begin_average()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything of it, for a checkpoint."""
        parts = {"network": dict(self.network.state_dict())}
        if self.average is not None:
            parts["average"] = self.average.tensors
        if self.optimiser is not None:
            parts["optimiser"] = optimiser_tensors(self.optimiser, self.names)
        return {
            f"{part}/{self.name}/{key}": value
            for part, values in parts.items()
            for key, value in values.items()
            if isinstance(value, torch.Tensor)
        }

    def scaler_state(self) -> dict[str, Any] | None:
        """Of the scaler, as JSON can hold it."""
        return None if self.scaler is None else dict(self.scaler.state_dict())

    def restore_weights(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over network and average.

        Raises:
            KeyError, RuntimeError: the tensors are of another network.
        """
        self.network.load_state_dict(_part(tensors, "network", self.name))
        kept = _part(tensors, "average", self.name)
        if kept and self.player.average is not None:
            self.begin_average()
            assert self.average is not None
            self.average.restore(kept)

    def restore_optimiser(
        self, tensors: Mapping[str, torch.Tensor], scaler_state: Mapping[str, Any] | None
    ) -> None:
        """Take over what the optimiser and the scaler remember.

        Raises:
            KeyError: the tensors are of other parameters.
        """
        if self.optimiser is not None:
            restore_optimiser(self.optimiser, self.names, _part(tensors, "optimiser", self.name))
        if self.scaler is not None and scaler_state:
            self.scaler.load_state_dict(dict(scaler_state))


def averages_of(trainees: Sequence[Trainee]) -> list[Average]:
    """Those that there are."""
    return [trainee.average for trainee in trainees if trainee.average is not None]


def _part(tensors: Mapping[str, torch.Tensor], part: str, player: str) -> dict[str, torch.Tensor]:
    start = f"{part}/{player}/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
