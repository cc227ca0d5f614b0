"""Measures a task on its validation samples, and has it draw some of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from worker.ml.device_failures import is_out_of_memory
from worker.ml.training import collectives, seeds
from worker.ml.training.averages import averages_in_place
from worker.ml.training.events import Note, Tell
from worker.ml.training.failures import TrainingFailed
from worker.ml.training.loader import Loader, to_device
from worker.ml.training.precision import Bits, autocast
from worker.ml.training.state import State
from worker.ml.training.task import Batch, Panel, Task, World
from worker.ml.training.trainees import Trainee, averages_of


@contextmanager
def as_it_will_draw(networks: Sequence[nn.Module], trainees: Sequence[Trainee]) -> Iterator[None]:
    """Evaluation mode, averages in place of weights, no gradients; afterwards everything is as it was."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        with averages_in_place(averages_of(trainees)), torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


class Validator:
    """Validates a phase."""

    def __init__(
        self,
        task: Task,
        world: World,
        state: Callable[[], State],
        tell: Tell,
        *,
        seed: int,
        bits: Bits,
        should_stop: Callable[[], bool],
    ) -> None:
        self._task, self._world, self._state_now, self._tell = task, world, state, tell
        self._seed, self._bits, self._should_stop = seed, bits, should_stop

    def measure(self, loader: Loader, batches: Sequence[range]) -> dict[str, float] | None:
        """Means over all samples, weighed by the sizes of batches; the same however many processes share them.

        Args:
            loader: of this process's batches.
            batches: of all processes.

        Returns:
            The means; None when it was asked to stop.
        """
        mine: list[tuple[int, int, Mapping[str, float]]] = []
        for first in range(0, len(batches), self._world.processes):
            if collectives.any_of_all(self._should_stop(), self._world.device):
                loader.close()
                return None
            number = first + self._world.rank
            if number < len(batches):
                batch = to_device(next(loader), self._world.device)
                mine += [(number, size, values) for size, values in self._measure_batch(number, batch)]
        everyone = [part for parts in collectives.all_objects(mine) for part in parts]
        return _weighed(sorted(everyone, key=lambda part: part[0]))

    def draw(self, batch: Batch) -> Sequence[Panel]:
        """Pictures of some samples."""
        random = seeds.enter_panels(self._seed)
        with autocast(self._bits, self._world.device):
            return self._task.panels(batch, random)

    def _measure_batch(self, number: int, batch: Batch) -> list[tuple[int, Mapping[str, float]]]:
        size, state = len(next(iter(batch.values()))), self._state_now()
        while True:
            at_once = min(state.validation_part or size, size)
            try:
                return [
                    self._measure_part(
                        number, {name: value[first : first + at_once] for name, value in batch.items()}
                    )
                    for first in range(0, size, at_once)
                ]
            except Exception as failure:
                if not is_out_of_memory(failure):
                    raise
                if at_once == 1:
                    raise TrainingFailed(
                        "out_of_memory", "There is not enough memory to validate a single sample."
                    ) from failure
            gc.collect()
            if self._world.device.type == "cuda":
                torch.cuda.empty_cache()
            state.validation_part = (at_once + 1) // 2
            self._tell(
                Note(
                    f"Out of memory validating {at_once} samples at once: going on with "
                    f"{state.validation_part} at once.",
                    "warning",
                )
            )

    def _measure_part(self, number: int, batch: Batch) -> tuple[int, Mapping[str, float]]:
        random = seeds.enter_validation(self._seed, number)
        with autocast(self._bits, self._world.device):
            values = self._task.validate(batch, random)
        return len(next(iter(batch.values()))), {name: float(value) for name, value in values.items()}


def _weighed(parts: Sequence[tuple[int, int, Mapping[str, float]]]) -> dict[str, float]:
    """A metric that a batch does not have is averaged over the others alone."""
    names = dict.fromkeys(name for _, _, values in parts for name in values)
    return {
        name: sum(size * values[name] for _, size, values in parts if name in values)
        / sum(size for _, size, values in parts if name in values)
        for name in names
    }
