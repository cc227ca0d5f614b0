"""What a training says while it runs: curves, progress, time left. Only the first process says it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch

from worker.ml.training.events import File, Metrics, Note, Progress, Tell
from worker.ml.training.history import History
from worker.ml.training.run_folder import RunFolder
from worker.ml.training.state import Place
from worker.ml.training.task import Phase
from worker.ml.training.throughput import Throughput, memory_bytes

_QUIET_SECONDS = 0.5  # between two progress events while nothing else is to be said


class Reports:
    """Tells events and keeps the curves' files."""

    def __init__(
        self,
        folder: RunFolder,
        tell: Tell,
        phases: Sequence[Phase],
        planned: Sequence[int],
        device: torch.device,
    ) -> None:
        """
        Args:
            planned: steps of each phase.
        """
        self.history = History(folder.history, folder.events)
        self.throughput = Throughput()
        self.resumed_at: int | None = None
        self._folder, self._tell, self._device = folder, tell, device
        self._phases, self._planned = phases, planned
        self._speed: float | None = None
        self._rate: float | None = None
        self._last = -_QUIET_SECONDS

    def steps(self, place: Place) -> int:
        """Steps of the whole training, as far as is known: phases that ended early count what they took."""
        return place.step - place.phase_step + sum(self._planned[place.phase :])

    def curves(
        self, place: Place, steps_of_epoch: int, phase: str, rate: float, means: Mapping[str, float]
    ) -> None:
        """A point of the training's curves."""
        speed = self.throughput.take(place.step)
        self._speed, self._rate = speed.get("samples_per_second", self._speed), rate
        more = {"learning_rate": rate, **speed, "memory_bytes": float(memory_bytes(self._device))}
        self._point(place.step, place.epochs + place.epoch_step / steps_of_epoch, phase, {**means, **more})

    def validation(self, place: Place, phase: Phase, means: Mapping[str, float], *, best: bool) -> None:
        """A point of the validation's curves, and a line of the log."""
        values = {f"validation/{name}": value for name, value in means.items()}
        self._point(place.step, place.epochs + 1.0, phase.name, values)
        numbers = ", ".join(f"{name} {value:.5g}" for name, value in means.items())
        self.note(
            f"{phase.name}, epoch {place.epoch + 1} of {phase.epochs}: {numbers}{', the best so far' * best}."
        )

    def progress(self, place: Place, doing: str, *, now: bool = True) -> None:
        """Where it stands; left out while the last one is fresh, unless it must be `now`."""
        if not now and time.monotonic() - self._last < _QUIET_SECONDS:
            return
        self._last = time.monotonic()
        over = place.phase >= len(self._phases)
        phase = self._phases[-1 if over else place.phase]
        steps = self.steps(place)
        self._tell(
            Progress(
                step=place.step,
                steps=steps,
                phase=phase.name,
                epoch=phase.epochs if over else min(place.epoch + 1, phase.epochs),
                epochs=phase.epochs,
                learning_rate=self._rate,
                samples_per_second=self._speed,
                memory_bytes=memory_bytes(self._device),
                eta_seconds=self.throughput.seconds_left(place.step, steps),
                resumed_at_step=self.resumed_at,
                doing=doing,
            )
        )

    def files(self) -> None:
        """The curves' files are whole on the disk."""
        self.history.flush()
        self._tell(File("history", self._folder.name(self._folder.history)))
        self._tell(File("events", self._folder.name(self._folder.events)))

    def note(self, text: str) -> None:
        """A sentence for the log."""
        self._tell(Note(text))

    def _point(self, step: int, epoch: float, phase: str, values: Mapping[str, float]) -> None:
        kept = self.history.add(step, epoch, phase, values)
        self._tell(Metrics(step, epoch, kept))
