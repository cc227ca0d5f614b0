"""What an evaluation has found so far: measures, and for everything else the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from worker.evaluation.published import PUBLISHED
from worker.ml.metrics.intervals import Interval
from worker.ml.metrics.measure import Better, Measure


@dataclass
class Findings:
    """Attributes:
    measures: by name, in the order of docs/metrics.md.
    left_out: reason, by the name of the measure or of a family of them (`auc.*`).
    notes: sentences for the reader of the report.
    tables: further counts by name, such as confusions; JSON values.
    """

    measures: dict[str, Measure] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)

    def add(
        self, name: str, interval: Interval, better: Better, chance: float | None = None, **details: Any
    ) -> None:
        """Enter a measure; one that is no number is left out."""
        if not math.isfinite(interval.value):
            self.left_out.setdefault(name, "Nobody in the sample has what it takes to measure it.")
            return
        measure = Measure.of(interval, better, chance, **details)
        self.measures[name] = Measure(**{**measure.__dict__, "published": PUBLISHED.get(name, ())})

    def leave_out(self, name: str, reason: str) -> None:
        """Say why something was not measured."""
        self.left_out[name] = reason
