"""How fast a training is, how long it still takes, and how much memory it uses."""

from __future__ import annotations

import time
from collections import deque

import psutil
import torch

_MARKS = 50  # of the clock that the estimate of the time left looks back over


class Throughput:
    """A stopwatch for steps. Validations and checkpoints count for the time left, and not for the speed."""

    def __init__(self) -> None:
        self.seconds = self.waited = 0.0
        self.samples = 0
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MARKS)

    def add(self, samples: int, seconds: float, waited: float) -> None:
        """A step.

        Args:
            samples: of all processes.
            seconds: from asking for samples to its end.
            waited: of these, for samples.
        """
        self.samples += samples
        self.seconds += seconds
        self.waited += waited

    def take(self, step: int) -> dict[str, float]:
        """Speed and share of time waited since it was last asked for, for the curves."""
        self._marks.append((time.monotonic(), step))
        if not self.seconds:
            return {}
        values = {
            "samples_per_second": self.samples / self.seconds,
            "waiting_for_samples": self.waited / self.seconds,
        }
        self.seconds = self.waited = 0.0
        self.samples = 0
        return values

    def seconds_left(self, step: int, steps: int) -> float | None:
        """An estimate; None while there is nothing to go by."""
        if len(self._marks) < 2 or step <= self._marks[0][1]:
            return None
        (began, first), now = self._marks[0], time.monotonic()
        return max(0.0, (steps - step) * (now - began) / (step - first))


def memory_bytes(device: torch.device) -> int:
    """Most memory used on a GPU so far; memory of the process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
