"""A measured number as reports and the ledger keep it: with interval, count, chance, and what others published."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.ml.metrics.intervals import Interval

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Published:
    """Somebody's number for something like it.

    Attributes:
        value: in the units of the measure beside which it stands.
        whose: system, place and year.
        note: dataset, gallery and protocol, so that nobody compares what is unlike.
    """

    value: float
    whose: str
    note: str


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        value, low, high: with the 95 % interval, where there is one.
        count: people, or pairs of people, that it is of; docs/metrics.md says which.
        better: which way is good.
        chance: what guessing gives.
        details: more that belongs to the number, such as `features` or `gallery`; JSON values.
    """

    value: float
    count: int
    better: Better
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    published: tuple[Published, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, interval: Interval, better: Better, chance: float | None = None, **details: Any) -> Measure:
        """A mean with its interval."""
        return cls(
            interval.value,
            interval.people,
            better,
            _finite(interval.low),
            _finite(interval.high),
            chance,
            details=details,
        )

    def as_json(self) -> dict[str, Any]:
        """As in report.json; numbers that are none are never written."""
        values: dict[str, Any] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "better": self.better,
            "chance": self.chance,
            "published": [
                {"value": one.value, "whose": one.whose, "note": one.note} for one in self.published
            ],
        }
        return values | self.details


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
