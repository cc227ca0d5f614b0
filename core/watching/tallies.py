"""What a worker counts of its own work since it began, in the shape that monitoring systems take.

A worker has no port of its own: it tells its tally with its heartbeat, and `/metrics` of the dashboard shows it. Counts
only grow; a worker that begins anew is another worker.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Upper ends of the steps that seconds of work are counted in, for one recording.
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Tally:
    """Counts of one worker. Every method may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: Counter[str] = Counter()
        self._steps = [0] * (len(STEPS) + 1)
        self._seconds = 0.0
        self._claims = 0
        self._lost = 0

    def claimed(self) -> None:
        """Notes a chunk, or a program, that was claimed."""
        with self._lock:
            self._claims += 1

    def lost(self) -> None:
        """Notes a claim that had been taken away when its results were to be published."""
        with self._lock:
            self._lost += 1

    def ended(self, outcomes: Iterable[tuple[str, float]]) -> None:
        """Notes items that were published.

        Args:
            outcomes: of each the state that it ended in, and the seconds of work that it took.
        """
        with self._lock:
            for state, seconds in outcomes:
                self._items[state] += 1
                self._steps[bisect_left(STEPS, seconds)] += 1
                self._seconds += seconds

    def told(self) -> dict[str, Any]:
        """All of it as JSON holds it: `items` by state, `steps` (how many took at most so long, beginning anew with
        each step, the last one open), `seconds`, `claims`, `lost`."""
        with self._lock:
            return {
                "items": dict(self._items),
                "steps": list(self._steps),
                "seconds": round(self._seconds, 3),
                "claims": self._claims,
                "lost": self._lost,
            }


def cumulated(told: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The steps of a tally as a histogram wants them: each upper end with how many took at most that long."""
    counts, total = [], 0
    ends = [*(str(end) for end in STEPS), "+Inf"]
    for end, count in zip(ends, told.get("steps", ()), strict=False):
        total += int(count)
        counts.append((end, float(total)))
    return counts
