"""Trainings of a few numbers each, one for every kind of task that the engine must cope with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from worker.ml.training.collectives import gather_with_gradients
from worker.ml.training.task import Arrays, Batch, Panel, Player, Source, Task, Terms

INPUTS, OUTPUTS = 6, 3


class Numbers(Source):
    """Points of a function of random numbers; noise is added as augmentation would."""

    def __init__(self, count: int, noise: float = 0.0, offset: int = 0) -> None:
        self._count, self._noise, self._offset = count, noise, offset

    def __len__(self) -> int:
        return self._count

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        known = np.random.default_rng(1000 + self._offset + number)
        x = known.normal(size=INPUTS).astype(np.float32)
        y = np.tanh(x[:OUTPUTS] + x[OUTPUTS:]).astype(np.float32)
        noise = self._noise * random.normal(size=INPUTS)
        return {"x": x + noise.astype(np.float32), "y": y, "number": np.int64(number)}


class _Tiny(Task):
    """Reads `Numbers` and writes one file per network."""

    def __init__(self, *, count: int = 22, validation: int = 9, noise: float = 0.0) -> None:
        self.count, self.validation, self.noise = count, validation, noise
        self.before_loss: Callable[[Batch], None] = lambda batch: None

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        other = Numbers(self.validation, offset=500) if self.validation else None
        return Numbers(self.count, self.noise), other

    def export(self, folder: Path) -> Mapping[str, str]:
        for player in self.players:
            (folder / player.name).mkdir()
            tensors = {name: value.contiguous() for name, value in player.network.state_dict().items()}
            save_file(tensors, folder / player.name / "model.safetensors")
        return {player.name: player.name for player in self.players}


class Plain(_Tiny):
    """Regression without anything random in it: separable."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.network: nn.Module = nn.Sequential(nn.Linear(INPUTS, 8), nn.Tanh(), nn.Linear(8, OUTPUTS))
        self.players = (Player("net", self.network),)

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        self.before_loss(batch)
        error = (self.network(batch["x"]).float() - batch["y"]).square().mean()
        return Terms(error, {"squared": error})

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        return {"total": float((self.network(batch["x"]).float() - batch["y"]).square().mean())}


class Noisy(Plain):
    """Dropout, batch normalisation, augmentation and chance in the loss."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(noise=0.3, **sizes)
        self.network = nn.Sequential(
            nn.Linear(INPUTS, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, OUTPUTS)
        )
        self.players = (Player("net", self.network, average=0.9),)

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        shaken = batch["x"] + 0.1 * torch.randn(batch["x"].shape, generator=random)
        error = (self.network(shaken).float() - batch["y"]).square().mean()
        return Terms(error, {"size": shaken.abs().mean()})

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        shade = np.full((12, 8, 3), 200, np.uint8)
        return [Panel([shade, shade // 2], ["target", "drawn"]) for _ in batch["x"]]


class Gan(_Tiny):
    """Two players that take turns; the first is updated twice in a step, and the second has an average."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.generator = nn.Sequential(nn.Linear(INPUTS + 2, 12), nn.BatchNorm1d(12), nn.Linear(12, OUTPUTS))
        self.critic = nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(OUTPUTS, 8)), nn.ReLU(), nn.Linear(8, 1)
        )
        self.players = (
            Player("critic", self.critic, updates=2),
            Player("generator", self.generator, average=0.8),
        )

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        drawn = self._draw(batch, random)
        if player == "generator":
            return Terms(-self.critic(drawn).mean())
        real, false = self.critic(batch["y"]).mean(), self.critic(drawn.detach()).mean()
        return Terms(nn.functional.softplus(false - real), {"real": real, "drawn": false})

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        return {"total": float((self._draw(batch, random) - batch["y"]).abs().mean())}

    def _draw(self, batch: Batch, random: torch.Generator) -> torch.Tensor:
        chance = torch.randn((len(batch["x"]), 2), generator=random)
        drawn: torch.Tensor = self.generator(torch.cat([batch["x"], chance], 1))
        return drawn


class TwoPhases(Plain):
    """First the head alone, whose trunk stays as it is, statistics included; then all of it."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(noise=0.2, **sizes)
        self.trunk = nn.Sequential(nn.Linear(INPUTS, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2))
        self.head = nn.Linear(8, OUTPUTS)
        self.network = nn.Sequential(self.trunk, self.head)
        self.players = (Player("net", self.network),)

    def begin_phase(self, phase: str) -> None:
        self.trunk.requires_grad_(phase != "head")
        self.trunk.train(phase != "head")
        with torch.no_grad():
            self.head.bias += 0.01 * torch.randn(OUTPUTS)  # whatever a task does here is done once


class Contrastive(_Tiny):
    """Every row finds its partner among those of the whole batch: not separable."""

    separable = False

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        # A bias on the right would move all scores of a row alike: its gradient is mere rounding, magnified by Adam.
        self.left, self.right = nn.Linear(INPUTS, 4), nn.Linear(OUTPUTS, 4, bias=False)
        self.players = (Player("both", nn.ModuleList([self.left, self.right])),)

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        self.before_loss(batch)
        left, right = self.left(batch["x"]), self.right(batch["y"])
        candidates = gather_with_gradients(right)
        mine = torch.arange(len(left)) + self.world.rank * len(left)
        return Terms(nn.functional.cross_entropy(left @ candidates.T, mine))

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        scores = self.left(batch["x"]) @ self.right(batch["y"]).T
        return {"total": float(nn.functional.cross_entropy(scores, torch.arange(len(scores))))}


TASKS: dict[str, Callable[[], Task]] = {
    "plain": Plain,
    "noisy": Noisy,
    "gan": Gan,
    "two_phases": TwoPhases,
    "contrastive": Contrastive,
}
