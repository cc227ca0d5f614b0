"""One step of a training: every player in turn computes its loss, averages gradients and is updated.

Where memory does not hold a batch, it is computed in parts whose gradients add up; the size of the parts is kept for
the steps that follow. A value that is no number ends the training before any checkpoint could take it over.
"""

from __future__ import annotations

import gc
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from worker.ml.device_failures import is_out_of_memory
from worker.ml.training import collectives, seeds
from worker.ml.training.events import Note, Tell
from worker.ml.training.failures import TrainingFailed
from worker.ml.training.optimisers import set_learning_rate
from worker.ml.training.precision import Bits, autocast
from worker.ml.training.state import State
from worker.ml.training.task import Batch, Task, World
from worker.ml.training.trainees import Trainee

_NORM = "gradient_norm"
_SMALLEST_SCALE = (
    2.0**-14
)  # a scaler that came down here has skipped thirty steps and found no scale that works


class Stepper:
    """Makes the steps of a phase. Keeps the sums of what the curves show in the state."""

    def __init__(
        self,
        task: Task,
        trainees: Sequence[Trainee],
        world: World,
        state: State,
        tell: Tell,
        *,
        seed: int,
        bits: Bits,
        clip_norm: float | None,
    ) -> None:
        self._task, self._world, self._state, self._tell = task, world, state, tell
        self._trainees = [trainee for trainee in trainees if trainee.optimiser is not None]
        self._seed, self._bits, self._clip_norm = seed, bits, clip_norm
        self._buffers = [buffer for player in task.players for buffer in player.network.buffers()]
        self._buffers_before = [buffer.clone() for buffer in self._buffers]
        # Reading a value of a GPU waits for it; those of the step before are there already.
        self._lag = 1 if world.device.type == "cuda" else 0
        self._pending: deque[tuple[int, list[str], torch.Tensor]] = deque()

    def step(self, step: int, rate: float, batches: Sequence[Batch]) -> None:
        """One step.

        Args:
            step: over all phases, from 0.
            rate: the learning rate.
            batches: on the device, as many as the busiest player takes.

        Raises:
            TrainingFailed: `not_finite` or `out_of_memory`.
        """
        values: dict[str, torch.Tensor] = {}
        for trainee in self._trainees:
            assert trainee.optimiser is not None
            set_learning_rate(trainee.optimiser, rate)
            prefix = "train/" if len(self._task.players) == 1 else f"train/{trainee.name}/"
            updates = trainee.player.updates
            for update, batch in enumerate(batches[-updates:]):
                for name, value in self._update(step, trainee, update, batch).items():
                    name = prefix + name
                    values[name] = values.get(name, 0) + value / updates
            if trainee.average is not None:
                trainee.average.update(step)
        collectives.average([buffer for buffer in self._buffers if buffer.is_floating_point()])
        self._pending.append(
            (step, list(values), collectives.mean_of_all(torch.stack(list(values.values()))))
        )
        self.settle(self._lag)

    def settle(self, lag: int = 0) -> None:
        """Look at the values of all steps but the last `lag`.

        Raises:
            TrainingFailed: `not_finite`.
        """
        while len(self._pending) > lag:
            step, names, values = self._pending.popleft()
            for name, value in zip(names, values.tolist(), strict=True):
                if not math.isfinite(value):
                    if name.endswith(_NORM) and self._scaler_copes():
                        continue
                    raise TrainingFailed(
                        "not_finite",
                        f"At step {step + 1}, {name} is {value}. Lower the learning rate, clip gradients, or train "
                        "with more bits; the last good checkpoint is kept.",
                    )
                self._state.sums[name] = self._state.sums.get(name, 0.0) + value
                self._state.counts[name] = self._state.counts.get(name, 0) + 1

    def take_means(self) -> dict[str, float]:
        """Means since they were last taken, for the curves."""
        self.settle()
        sums, counts = self._state.sums, self._state.counts
        means = {name: value / counts[name] for name, value in sums.items()}
        self._state.sums, self._state.counts = {}, {}
        return means

    def _scaler_copes(self) -> bool:
        scalers = [trainee.scaler for trainee in self._trainees if trainee.scaler is not None]
        return bool(scalers) and all(scaler.get_scale() > _SMALLEST_SCALE for scaler in scalers)

    def _update(self, step: int, trainee: Trainee, update: int, batch: Batch) -> dict[str, torch.Tensor]:
        values = self._gradients_that_fit(step, trainee, update, batch)
        collectives.average_gradients(trainee.parameters)
        optimiser, scaler = trainee.optimiser, trainee.scaler
        assert optimiser is not None
        if scaler is not None:
            scaler.unscale_(optimiser)
        gradients = [
            parameter.grad for parameter in trainee.parameters if isinstance(parameter.grad, torch.Tensor)
        ]
        norm = torch.nn.utils.get_total_norm(gradients)
        if self._clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(trainee.parameters, self._clip_norm, norm)
        if scaler is not None:
            scaler.step(optimiser)
            scaler.update()
        else:
            optimiser.step()
        return {**values, _NORM: norm.detach().float()}

    def _gradients_that_fit(
        self, step: int, trainee: Trainee, update: int, batch: Batch
    ) -> dict[str, torch.Tensor]:
        size = len(next(iter(batch.values())))
        while True:
            at_once = min(self._state.micro or size, size)
            if self._buffers:
                torch._foreach_copy_(self._buffers_before, self._buffers)
            values: dict[str, torch.Tensor] | None = None
            try:
                values = self._gradients(step, trainee, update, batch, at_once)
            except Exception as failure:
                if not is_out_of_memory(failure):
                    raise
                if self._world.processes > 1 and not self._task.separable:
                    # The other processes wait for this one in the middle of the loss; there is no way back together.
                    raise self._too_large(at_once) from failure
            # Outside the handler: the exception holds on to everything that was computed.
            if not collectives.any_of_all(values is None, self._world.device) and values is not None:
                return values
            self._take_less(at_once)

    def _gradients(
        self, step: int, trainee: Trainee, update: int, batch: Batch, at_once: int
    ) -> dict[str, torch.Tensor]:
        size = len(next(iter(batch.values())))
        values: dict[str, torch.Tensor] = {}
        for other in self._trainees:
            for parameter in other.parameters:
                parameter.grad = None
        with self._only(trainee):
            for part, first in enumerate(range(0, size, at_once)):
                piece = {name: tensor[first : first + at_once] for name, tensor in batch.items()}
                share = min(at_once, size - first) / size
                chance = seeds.enter_update(self._seed, step, trainee.number, update, part, self._world.rank)
                with autocast(self._bits, self._world.device):
                    terms = self._task.loss(trainee.name, piece, chance)
                total = terms.total if share == 1 else terms.total * share
                (total if trainee.scaler is None else trainee.scaler.scale(total)).backward()  # type: ignore[no-untyped-call]
                for name, value in {**terms.parts, "total": terms.total}.items():
                    values[name] = values.get(name, 0) + value.detach().float() * share
        return values

    @contextmanager
    def _only(self, trainee: Trainee) -> Iterator[None]:
        """The other players are used as they are: gradients of theirs would be thrown away."""
        others = [p for other in self._trainees if other is not trainee for p in other.parameters]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    def _take_less(self, at_once: int) -> None:
        for trainee in self._trainees:
            for parameter in trainee.parameters:
                parameter.grad = None
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._buffers_before)
        gc.collect()
        if self._world.device.type == "cuda":
            torch.cuda.empty_cache()
        if at_once <= 1:
            raise self._too_large(at_once)
        self._state.micro = (at_once + 1) // 2
        kind = (
            "gradients add up, so what is learnt stays the same, but for batch normalisation"
            if self._task.separable
            else "the loss compares fewer samples with each other from now on"
        )
        self._tell(
            Note(
                f"Out of memory with {at_once} samples at once: going on with {self._state.micro} at once; {kind}.",
                "warning",
            )
        )

    def _too_large(self, at_once: int) -> TrainingFailed:
        return TrainingFailed(
            "out_of_memory",
            f"There is not enough memory for {at_once} sample{'s' * (at_once > 1)} at once. Make the batch or the "
            "network smaller, or take a machine with more memory.",
        )
