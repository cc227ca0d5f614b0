"""Where a training stands, apart from its tensors: everything that a resumed run must know, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class Place:
    """How far it is. All numbers count what is done.

    Attributes:
        step: over all phases.
        phase: number of the phase.
        phase_step: steps of this phase. 0: the phase has not begun.
        epoch: epochs of this phase.
        epoch_step: steps of this epoch. All of them: it still has to be validated.
        epochs: over all phases.
    """

    step: int = 0
    phase: int = 0
    phase_step: int = 0
    epoch: int = 0
    epoch_step: int = 0
    epochs: int = 0

    def after_step(self) -> Place:
        """One step further."""
        return replace(
            self, step=self.step + 1, phase_step=self.phase_step + 1, epoch_step=self.epoch_step + 1
        )

    def after_epoch(self) -> Place:
        """At the beginning of the next epoch, steps counted on."""
        return replace(self, epoch=self.epoch + 1, epoch_step=0, epochs=self.epochs + 1)

    def after_phase(self) -> Place:
        """At the beginning of the next phase."""
        return Place(step=self.step, phase=self.phase + 1, epochs=self.epochs)


@dataclass(frozen=True)
class Best:
    """The best validation of a phase."""

    phase: int
    step: int
    epoch: int  # over all phases, from 1
    metric: str
    value: float


@dataclass
class State:
    """Everything but tensors.

    Attributes:
        best: of the phase under way; each phase has its own.
        worse: validations in a row that were not better.
        phase_over: the phase ended early and is only to be left.
        ended_early: some phase did.
        micro: samples computed at once in a process, once memory did not hold more.
        validation_part: the same for validations.
        sums, counts: of the values since the last point of the curves.
        seconds: spent so far, over all attempts.
    """

    place: Place = field(default_factory=Place)
    best: Best | None = None
    worse: int = 0
    phase_over: bool = False
    ended_early: bool = False
    micro: int | None = None
    validation_part: int | None = None
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Values that `of_json` takes back."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Self:
        """
        Raises:
            TypeError, KeyError: the values are not of a state.
        """
        best = values["best"]
        return cls(**{**values, "place": Place(**values["place"]), "best": Best(**best) if best else None})
