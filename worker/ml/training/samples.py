"""Which samples come when: epochs, batches and the share of each process, with chance from their places alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from worker.ml.training import seeds
from worker.ml.training.failures import TrainingFailed
from worker.ml.training.loader import Batches, ChanceOf, Loader, Readers
from worker.ml.training.state import Place
from worker.ml.training.task import Phase, Source, Task, World

_KEPT_SOURCES = 3


class _Batches:
    """The share of one process in batches of an epoch, worked out as they are asked for.

    Args:
        numbers: of the batches; beyond the `whole` ones that an epoch has they begin anew.
    """

    def __init__(
        self, order: seeds.Order, numbers: range, *, whole: int, size: int, rank: int, share: int
    ) -> None:
        self._order, self._numbers = order, numbers
        self._whole, self._size, self._rank, self._share = whole, size, rank, share

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, at: int, /) -> npt.NDArray[np.int64]:
        first = (self._numbers[at] % self._whole) * self._size + self._rank * self._share
        return self._order.stretch(first, self._share)


class Samples:
    """The samples of a training."""

    def __init__(
        self, task: Task, phases: Sequence[Phase], world: World, readers: Readers, *, seed: int
    ) -> None:
        """
        Raises:
            TrainingFailed: `invalid_recipe`: a batch cannot be shared evenly, or there are too few samples.
        """
        self._task, self._phases, self._world, self._readers, self._seed = task, phases, world, readers, seed
        self._sources: dict[tuple[int, int], tuple[Source, Source | None]] = {}
        self._begun: dict[tuple[object, ...], Loader] = {}
        self.busiest = max((player.updates for player in task.players), default=1)
        self.planned = [self._plan(number) for number in range(len(phases))]

    def steps_of_epoch(self, place: Place) -> int:
        """How many steps the epoch of a place has, `max_steps` of its phase included."""
        steps = self._steps(len(self._source(place.phase, place.epoch)[0]), self._phases[place.phase])
        most = self._phases[place.phase].max_steps
        before = place.phase_step - place.epoch_step
        return steps if most is None else min(steps, most - before)

    def batch_size(self, place: Place) -> int:
        """Samples in a batch over all processes: fewer than asked for where the epoch has fewer."""
        return self._size(len(self._source(place.phase, place.epoch)[0]), self._phases[place.phase])

    def training(self, place: Place) -> Loader:
        """The batches of an epoch from a place on, `busiest` for every step. The last short batch is dropped: every
        epoch has another order, so every sample gets its turn."""
        key = ("training", place.phase, place.epoch, place.epoch_step)
        if key in self._begun:
            return self._begun.pop(key)
        source = self._source(place.phase, place.epoch)[0]
        phase, count = self._phases[place.phase], len(source)
        size = self._size(count, phase)
        batches = _Batches(
            seeds.Order(self._seed, place.phase, place.epoch, count),
            range(place.epoch_step * self.busiest, self.steps_of_epoch(place) * self.busiest),
            whole=max(1, count // size),
            size=size,
            rank=self._world.rank,
            share=size // self._world.processes,
        )

        def chance_of(number: int) -> np.random.Generator:
            return seeds.of_sample(self._seed, place.phase, place.epoch, number)

        return self._load(source, batches, chance_of)

    def validation(self, place: Place) -> Loader | None:
        """The validation batches of this process, every one whole: process r of P takes r, r + P, r + 2P…"""
        key = ("validation", place.phase)
        if key in self._begun:
            return self._begun.pop(key)
        source = self._source(place.phase, place.epoch)[1]
        if source is None or not len(source):
            return None
        batches = self.validation_batches(place)[self._world.rank :: self._world.processes]
        return self._load(source, batches, lambda number: seeds.of_validation_sample(self._seed, number))

    def validation_batches(self, place: Place) -> list[range]:
        """The numbers of the samples of every validation batch; the last one may be shorter."""
        source = self._source(place.phase, place.epoch)[1]
        count = 0 if source is None else len(source)
        size = self._phases[place.phase].batch
        return [range(first, min(first + size, count)) for first in range(0, count, size)]

    def first_ones(self, place: Place, count: int) -> tuple[Loader, str] | None:
        """The first samples of the validation, or of training where there is none, and which of the two."""
        training, validation = self._source(place.phase, place.epoch)
        source, split = (training, "train") if validation is None else (validation, "validation")
        count = min(count, len(source))
        if not count:
            return None
        loader = self._load(
            source, [range(count)], lambda number: seeds.of_validation_sample(self._seed, number)
        )
        return loader, split

    def begin_training(self, place: Place) -> None:
        """Have threads begin with an epoch that comes next."""
        self._begun[("training", place.phase, place.epoch, place.epoch_step)] = self.training(place)

    def begin_validation(self, place: Place) -> bool:
        """Have threads begin with the validation that comes next; answers whether there is one."""
        loader = self.validation(place)
        if loader is not None:
            self._begun[("validation", place.phase)] = loader
        return loader is not None

    def close(self) -> None:
        """Let go of what was begun and is not wanted."""
        for loader in self._begun.values():
            loader.close()
        self._begun.clear()

    def _load(self, source: Source, batches: Batches, chance_of: ChanceOf) -> Loader:
        return Loader(self._readers, source, batches, chance_of, pin=self._world.device.type == "cuda")

    def _source(self, phase: int, epoch: int) -> tuple[Source, Source | None]:
        key = phase, epoch
        if key not in self._sources:
            while len(self._sources) >= _KEPT_SOURCES:
                self._sources.pop(next(iter(self._sources)))
            self._sources[key] = self._task.sources(self._phases[phase].name, epoch)
        return self._sources[key]

    def _plan(self, number: int) -> int:
        """Steps that a phase will have, as far as its first epoch tells."""
        phase = self._phases[number]
        steps = phase.epochs * self._steps(len(self._source(number, 0)[0]), phase)
        return steps if phase.max_steps is None else min(steps, phase.max_steps)

    def _steps(self, count: int, phase: Phase) -> int:
        return max(1, count // self._size(count, phase) // self.busiest)

    def _size(self, count: int, phase: Phase) -> int:
        processes = self._world.processes
        if phase.batch % processes:
            raise TrainingFailed(
                "invalid_recipe",
                f"A batch of {phase.batch} cannot be shared evenly by {processes} processes. Choose a multiple of "
                f"{processes}.",
            )
        size = min(phase.batch, count // processes * processes)
        if not size:
            raise TrainingFailed(
                "invalid_recipe",
                f"Phase {phase.name} has {count} training samples, too few for {processes} "
                f"process{'es' * (processes > 1)}. Prepare a larger dataset, or another split.",
            )
        return size
