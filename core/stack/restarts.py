"""When a child that ended is started again: at once, then later and later, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

DELAYS_SECONDS = (0.0, 1.0, 2.0, 4.0)
MOST_ENDINGS = 5
WITHIN_SECONDS = 60.0


@dataclass
class Restarts:
    """The recent endings of one child. Times come from the caller, on any clock that does not run backwards."""

    most: int = MOST_ENDINGS
    endings_at: list[float] = field(default_factory=list)
    _due_at: float | None = None

    def is_hopeless_after_another(self, at: float) -> bool:
        """Counts an ending and plans the next start; says whether there should be none."""
        self.endings_at = [earlier for earlier in self.endings_at if at - earlier < WITHIN_SECONDS] + [at]
        if len(self.endings_at) >= self.most:
            return True
        self._due_at = at + DELAYS_SECONDS[min(len(self.endings_at), len(DELAYS_SECONDS)) - 1]
        return False

    def is_waiting(self) -> bool:
        """Whether a start is planned."""
        return self._due_at is not None

    def is_due(self, at: float) -> bool:
        """Whether to start it now; says so once for each ending."""
        if self._due_at is None or at < self._due_at:
            return False
        self._due_at = None
        return True
