"""How long work is shown: a live bar on a terminal, a line now and then elsewhere, nothing for scripts.

Everything goes to standard error, so that standard output holds results and nothing else.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import IO, Protocol, Self

from core.client_views import JobView
from core.states import ItemState, JobState

# On a log that somebody follows, more often than this is noise.
_LINE_EVERY_SECONDS = 5.0


class Progress(Protocol):
    """Shows what goes on, between `with` and its end."""

    def step(self, doing: str, done: int, total: int) -> None:
        """So much of sending or downloading is done."""

    def job(self, job: JobView) -> None:
        """The job stands like this."""

    def note(self, text: str) -> None:
        """A sentence that stays on the screen."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class Silent:
    """Shows nothing."""

    def step(self, doing: str, done: int, total: int) -> None: ...

    def job(self, job: JobView) -> None: ...

    def note(self, text: str) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...


class Lines(Silent):
    """A line whenever something changed and the last line is some seconds old, and one at each end."""

    def __init__(self, stream: IO[str] | None = None, *, every_seconds: float = _LINE_EVERY_SECONDS) -> None:
        self._stream = stream or sys.stderr
        self._every = every_seconds
        self._told = ("", 0.0)  # the last line and when it was told

    def step(self, doing: str, done: int, total: int) -> None:
        self._tell(f"{doing} {done}/{total}", is_last=done == total)

    def job(self, job: JobView) -> None:
        self._tell(f"{job.state.value} {describe(job)}", is_last=job.is_final)

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _tell(self, line: str, *, is_last: bool) -> None:
        before, at = self._told
        now = time.monotonic()
        if line == before or (not is_last and at and now - at < self._every):
            return
        self._told = (line, now)
        print(line, file=self._stream, flush=True)


class Bar(Silent):
    """One live line for each part of the work, on a terminal."""

    def __init__(self) -> None:
        # Rich takes a tenth of a second to load; only a terminal pays for it.
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Rich

        self._rich = Rich(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[more]}", markup=False),
            console=Console(stderr=True),
            refresh_per_second=8,
        )
        self._rows = {
            doing: self._rich.add_task(doing, total=None, visible=False, more="")
            for doing in ("sending", "preparing", "drawing", "downloading")
        }

    def step(self, doing: str, done: int, total: int) -> None:
        if doing not in self._rows:
            self._rows[doing] = self._rich.add_task(doing, total=None, more="")
        self._rich.update(self._rows[doing], completed=done, total=total, visible=True)

    def job(self, job: JobView) -> None:
        self._rich.update(
            self._rows["drawing"],
            completed=job.finished,
            total=job.total,
            visible=True,
            more=describe(job, with_total=False),
        )

    def note(self, text: str) -> None:
        self._rich.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._rich.stop()


def make_progress() -> Progress:
    """What suits standard error."""
    return Bar() if sys.stderr.isatty() else Lines()


def several(count: int, one: str, many: str | None = None) -> str:
    """`1 recording`, `1,000 recordings`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def describe(job: JobView, *, with_total: bool = True) -> str:
    """Counts, rate and time left, as far as there is something to say."""
    counts = job.counts
    parts = [f"{job.finished}/{job.total}"] if with_total else []
    if not job.is_final and job.state not in (JobState.RUNNING, JobState.QUEUED) and not with_total:
        parts.append(job.state.value)
    named = (
        (ItemState.CACHED, "drawn before"),
        (ItemState.FAILED, "failed"),
        (ItemState.CANCELLED, "cancelled"),
    )
    parts += [f"{counts[state]} {words}" for state, words in named if counts[state]]
    if not job.is_final and job.rate_per_second:
        parts.append(f"{job.rate_per_second:.1f}/s")
    if job.eta_seconds is not None and not job.is_final:
        parts.append(f"{duration(job.eta_seconds)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """As people say it: 45 s, 12 min, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
