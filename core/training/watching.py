"""A training, an evaluation or an analysis as somebody watches it from a shell: one line that says where it stands."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self

from core.client import Client
from core.client_views import JobView
from core.errors import Retryable
from core.progress import duration

_LINE_EVERY_SECONDS = 5.0
_POLL_SECONDS = 1.0
# Shown beside the numbers of the loop, where there are any.
_SERIES = ("train/total", "validation/total")
_SHORT = {"train/total": "loss", "validation/total": "validation"}


class ProgramLine:
    """A live line on a terminal, a line now and then elsewhere; on standard error either way."""

    def __init__(self, stream: IO[str] | None = None, *, every_seconds: float = _LINE_EVERY_SECONDS) -> None:
        self._stream = stream or sys.stderr
        self._is_live = self._stream.isatty()
        self._every = every_seconds
        self._told = ("", 0.0)

    def show(self, text: str, *, is_last: bool = False) -> None:
        before, at = self._told
        now = time.monotonic()
        if self._is_live:
            # A line that goes on in the next one could not be taken back.
            shown = text[: max(1, shutil.get_terminal_size().columns - 1)]
            self._stream.write(f"\r\x1b[K{shown}" + ("\n" if is_last else ""))
            self._stream.flush()
            self._told = ("" if is_last else text, now)
        elif text != before and (is_last or not at or now - at >= self._every):
            self._told = (text, now)
            print(text, file=self._stream, flush=True)

    def note(self, text: str) -> None:
        """A sentence that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._is_live and self._told[0]:
            self._stream.write("\r\x1b[K")
            self._told = ("", 0.0)


def describe_progress(progress: Mapping[str, Any], values: Mapping[str, float] | None = None) -> str:
    """Where a program stands, from the fields of `worker.ml.training.events.Progress`, and its last losses."""
    parts = []
    if progress.get("phase"):
        parts.append(str(progress["phase"]))
    if progress.get("epochs"):
        parts.append(f"epoch {progress.get('epoch', 0)}/{progress['epochs']}")
    if progress.get("steps"):
        parts.append(f"step {progress.get('step', 0):,}/{progress['steps']:,}")
    for name in _SERIES:
        if values and name in values:
            parts.append(f"{_SHORT[name]} {values[name]:.4g}")
    if progress.get("samples_per_second"):
        parts.append(f"{progress['samples_per_second']:.1f} samples/s")
    if progress.get("eta_seconds") is not None:
        parts.append(f"{duration(progress['eta_seconds'])} left")
    if progress.get("doing"):
        parts.append(str(progress["doing"]))
    return ", ".join(parts)


def watch_program(
    client: Client, job_id: str, line: ProgramLine, *, patience_seconds: float = 300.0
) -> JobView:
    """Waits until the job of a program has ended, also across restarts of the service.

    Raises:
        ServiceUnreachable: nothing answered for `patience_seconds`; the job itself is not harmed by that.
    """
    values: dict[str, float] = {}
    after = -1
    gone_since: float | None = None
    while True:
        try:
            job = client.job(job_id)
            told = client.training(job_id)
            curves = client.curves(job_id, after=after)
        except Retryable:
            at = time.monotonic()
            if gone_since is None:
                gone_since = at
                line.note("The service does not answer for the moment; still waiting.")
            elif at - gone_since > patience_seconds:
                raise
        else:
            gone_since = None
            after = int(curves.get("next", after))
            for name, columns in curves.get("series", {}).items():
                known = [value for value in columns["values"] if value is not None]
                if known:
                    values[name] = known[-1]
            where = describe_progress(told.get("progress") or {}, values)
            line.show(f"{job.state.value}: {where}" if where else job.state.value, is_last=job.is_final)
            if job.is_final:
                return job
        time.sleep(_POLL_SECONDS)
