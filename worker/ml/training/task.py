"""What the engine trains: the interface between the loop, which is the same for all, and each task.

Everything random in a task is drawn from what the engine hands over: a `torch.Generator` or numpy generator that is a
function of the seed, the phase, the step and, for samples, their place in the epoch. Nothing then depends on what ran
before, so a run that was killed and resumed goes on exactly as if it had not been.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Arrays = Mapping[str, npt.NDArray[Any]]
Batch = Mapping[str, torch.Tensor]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class OptimiserSettings:
    """See `core.training.parts.Optimiser`."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0


@dataclass(frozen=True)
class ScheduleSettings:
    """See `core.training.parts.Schedule`."""

    kind: Literal["constant", "cosine", "exponential", "steps"] = "constant"
    warmup_steps: int = 0
    final: float = 0.01
    every_steps: int = 10_000
    factor: float = 0.95


@dataclass(frozen=True)
class Phase:
    """A stretch of a training with settings of its own, see `core.training.parts.Loop`.

    Attributes:
        name: shown, and told to `Task.begin_phase`.
        batch: samples in a step over all processes.
    """

    name: str
    epochs: int
    batch: int
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    max_steps: int | None = None
    clip_norm: float | None = None
    patience: int | None = None


@dataclass(frozen=True)
class Player:
    """A network with an optimiser of its own. Most tasks have one; a GAN has two that take turns in every step.

    Attributes:
        name: of its part of checkpoints and curves.
        network: whose parameters with `requires_grad` are trained.
        average: decay of the exponential moving average that is kept of it; None keeps none.
        updates: how often it is updated in a step, on as many different batches. A step then takes as many batches
            as the busiest player; the others take the last ones of them.
    """

    name: str
    network: nn.Module
    average: float | None = None
    updates: int = 1


@dataclass(frozen=True)
class Terms:
    """A loss and what it is made of.

    Attributes:
        total: scalar, with gradients.
        parts: further scalars for the curves, by name.
    """

    total: torch.Tensor
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Source(ABC):
    """Samples by number. Read from several threads at once."""

    @abstractmethod
    def __len__(self) -> int:
        """How many samples an epoch has."""

    @abstractmethod
    def read(self, number: int, random: np.random.Generator) -> Arrays:
        """One sample: arrays of the same shapes for every number, without a batch axis; augmentation included.

        Args:
            random: of this sample in this epoch alone.
        """


@dataclass(frozen=True)
class Panel:
    """A picture beside the one it should look like, for people to watch a training by.

    Attributes:
        pictures: uint8 RGB `[H, W, 3]`, in the order of `titles`: the target first.
        titles: such as `photograph`, `drawn`.
    """

    pictures: Sequence[Picture]
    titles: Sequence[str]


@dataclass(frozen=True)
class World:
    """What the engine tells a task about where it runs.

    Attributes:
        device: of this process.
        rank, processes: which process of how many this is.
        say: to be called now and then by a `begin` that takes long, with what it does; it does not return where the
            training was asked to stop.
        kept: where a task may keep what it works out in `begin`, for when it goes on; None where nothing is kept.
    """

    device: torch.device
    rank: int = 0
    processes: int = 1
    say: Callable[[str], None] = lambda doing: None
    kept: Path | None = None


class Task(ABC):
    """Networks, data and losses. The engine calls `begin`, then for every phase `begin_phase` and its steps.

    Attributes:
        players: updated in this order in every step.
        frozen: networks that are only used; the engine moves them to the device.
        separable: whether the loss of a batch is the mean of those of its halves. Out of memory, the engine halves
            what is computed at once; where losses are separable it adds gradients up, and nothing else changes.
        best_by: the validation metric that decides which checkpoint is the best; smaller is better. None: the last
            one is as good as any, and no phase ends early.
    """

    players: tuple[Player, ...]
    frozen: tuple[nn.Module, ...] = ()
    separable: bool = True
    best_by: str | None = "total"

    @abstractmethod
    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        """Training and validation samples of an epoch, counted from 0 within the phase. The same arguments always give
        the same samples; the validation's do not depend on the epoch."""

    def begin(self, world: World) -> None:
        """Called once, when networks are on the device and before a checkpoint is loaded."""
        self.world = world

    def begin_phase(self, phase: str) -> None:  # noqa: B027 - most tasks have nothing to do here
        """Called before a phase, also on resuming in the middle of it: says which parameters are trained.

        Chance is drawn from torch's own generators here, which the engine has seeded.
        Networks are in training mode; a part that is put into evaluation mode here stays in it while the phase trains.
        What is done to weights here is not done again on resuming.
        """

    @abstractmethod
    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        """The loss of a player on a batch `[B, ...]` on the device, inside autocast where precision is mixed.

        Args:
            random: on the CPU; of this step, player and process.
        """

    @abstractmethod
    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        """Means over a validation batch, without gradients, networks (averages where there are) in evaluation mode.
        The engine weighs them by the size of the batch, which may be 1 at the end. Holds `best_by`.

        Batches are the same however many processes share them, each process taking some: nothing may be gathered here.
        """

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        """Pictures for the first samples of the validation; none for tasks that draw nothing."""
        return ()

    @abstractmethod
    def export(self, folder: Path) -> Mapping[str, str]:
        """Write what was trained, averages in place of the weights where there are, as folders that `from_pretrained`
        reads. Answers the role of each folder by its name: such as `{"encoder": "encoder"}`, `{"model": "model"}`."""
