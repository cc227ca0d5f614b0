"""What happened on which host and when, and how a job went on meanwhile; drawn as one picture."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Span:
    """Something that took a while on a host. Seconds are since the timeline began."""

    what: str
    host: str
    begins: float
    ends: float


@dataclass
class Timeline:
    """Kept by one run of all scenarios.

    Attributes:
        drawn: by seconds since the beginning, how many recordings each worker had drawn by then.
    """

    began: float = field(default_factory=time.monotonic)
    spans: list[Span] = field(default_factory=list)
    drawn: list[tuple[float, dict[str, int]]] = field(default_factory=list)

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    def mark(self, what: str, host: str) -> None:
        self.spans.append(Span(what, host, self.now, self.now))

    @contextmanager
    def span(self, what: str, host: str) -> Iterator[None]:
        begins = self.now
        try:
            yield
        finally:
            self.spans.append(Span(what, host, begins, self.now))

    @contextmanager
    def watching(self, look: Callable[[], dict[str, int]]) -> Iterator[None]:
        """Looks every second, in a thread of its own; a look that fails leaves a gap."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(SAMPLE_SECONDS):
                try:
                    seen = look()
                except Exception:  # noqa: BLE001 - servers are away on purpose
                    continue
                self.drawn.append((self.now, seen))

        thread = threading.Thread(target=watch, name="timeline", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def write(self, path: Path) -> None:
        spans = [asdict(span) for span in self.spans]
        path.write_text(json.dumps({"spans": spans, "drawn": self.drawn}, indent=1) + "\n")
