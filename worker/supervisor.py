"""Runs one program in processes of its own and sees it through to its end, whatever it does.

What it says comes in line by line through threads that do nothing else, so a silent program, a flood of rubbish or a
line without an end delay nobody. Stopping is asked for with SIGTERM; what has not ended by then is killed with all its
descendants (`worker/keeper.py`). A device is always free afterwards, since no process is left to hold it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import psutil

from core.progress import duration
from worker.ml.training.events import STOPPED, Ended, Event, Failed, Progress, read_event

KEEPER = Path(__file__).with_name("keeper.py")
NICE = 10  # drawing beside a training goes first

_LONGEST_LINE = 1 << 20
_LONGEST_TOLD = 10_000
_LINES_WAITING = 10_000  # more than this, and the program waits for us
_POLL_SECONDS = 0.25
_WATCH_SECONDS = 2.0  # from one look at memory to the next
_KILLED_SECONDS = 10.0

Why = Literal["cancelled", "leaving", "lost"]


@dataclass(frozen=True)
class Limits:
    """How far a program may go.

    Attributes:
        wall_seconds: of this run.
        memory_bytes: resident memory of all its processes together.
        silent_seconds: without any sign of progress, after which it counts as stuck.
        stop_seconds: from SIGTERM to SIGKILL.
    """

    wall_seconds: float | None = None
    memory_bytes: int | None = None
    silent_seconds: float = 1800.0
    stop_seconds: float = 30.0


@dataclass(frozen=True)
class RunEnd:
    """How a program ended.

    Attributes:
        how: `ended` and `failed` as it said; `stopped` because it was asked to; `lost`: killed, since its work is no
            longer ours; `died` without a word.
        why: what it was asked to stop for.
        sentence: of one that died: how.
        left_checkpoint: whether it came to a stop by itself.
        stopping_seconds: since it was asked to stop; 0 if it was not.
    """

    how: Literal["ended", "failed", "stopped", "lost", "died"]
    ended: Ended | None = None
    failed: Failed | None = None
    why: Why | None = None
    sentence: str = ""
    left_checkpoint: bool = True
    stopping_seconds: float = 0.0


class Supervisor:
    """One run of one program. `run` blocks until no process of it is left.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: the whole of it.
        why_stop: asked several times a second.
        on_event: told of everything the program tells, in order; must not block for long.
        on_line: told of lines that are no events: of standard error, and rubbish.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        limits: Limits,
        why_stop: Callable[[], Why | None],
        on_event: Callable[[Event], None],
        on_line: Callable[[str], None],
    ) -> None:
        self._command = list(command)
        self._folder = folder
        self._environment = dict(environment)
        self._limits = limits
        self._why_stop = why_stop
        self._on_event = on_event
        self._on_line = on_line
        self._lines: queue.Queue[tuple[str, str]] = queue.Queue(_LINES_WAITING)
        self._last_words: Ended | Failed | None = None
        self._standing: tuple[object, ...] = ()
        self._moved_at = 0.0
        self._why: Why | None = None
        self._limit: Failed | None = None  # the limit that it went beyond
        self._asked_at: float | None = None
        self._known: dict[int, psutil.Process] = {}

    def run(self) -> RunEnd:
        """Runs it to its end. Call it in a thread that lives as long as the program should.

        Raises:
            OSError: it cannot be started.
        """
        process = subprocess.Popen(
            [sys.executable, str(KEEPER), str(os.getpid()), str(NICE), *self._command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            threading.Thread(target=self._read, args=(pipe, name), name=f"read-{name}", daemon=True)
            for name, pipe in (("out", process.stdout), ("err", process.stderr))
        ]
        for reader in readers:
            reader.start()
        try:
            self._see_through(process)
        finally:
            self._kill(process)
            # They wait where the queue is full; what is in it is heard first.
            deadline = time.monotonic() + _KILLED_SECONDS
            while any(reader.is_alive() for reader in readers) and time.monotonic() < deadline:
                self._hear(0.05)
            while self._hear(0.0):
                pass
            if not any(reader.is_alive() for reader in readers):
                process.stdout.close()
                process.stderr.close()
        return self._end(process.returncode)

    def _see_through(self, process: subprocess.Popen[bytes]) -> None:
        began = self._moved_at = time.monotonic()
        watched_at = began
        while process.poll() is None:
            self._hear(_POLL_SECONDS)
            now = time.monotonic()
            if self._asked_at is None or self._why != "lost":
                why = self._why_stop()
                if why == "lost":
                    self._why = why
                    return  # nothing it does counts any more: it is killed at once
                if why is not None and self._asked_at is None:
                    self._why = why
                    self._ask(process)
            if now - watched_at >= _WATCH_SECONDS:
                watched_at = now
                self._watch_memory(process)
            if self._asked_at is None:
                self._limit = self._limit or self._beyond(now - began, now - self._moved_at)
                if self._limit is not None:
                    self._ask(process)
            elif now - self._asked_at >= self._limits.stop_seconds:
                return

    def _beyond(self, running: float, silent: float) -> Failed | None:
        limits = self._limits
        if limits.wall_seconds is not None and running >= limits.wall_seconds:
            return Failed(
                "time_limit",
                f"It ran for {duration(limits.wall_seconds)}, which is the limit of this job. Retry goes on from "
                "its last checkpoint.",
            )
        if silent >= limits.silent_seconds:
            return Failed(
                "no_progress",
                f"Nothing moved for {duration(limits.silent_seconds)}. Look at its log; Retry goes on from the last "
                "checkpoint.",
            )
        return None

    def _watch_memory(self, process: subprocess.Popen[bytes]) -> None:
        used = 0
        try:
            members = psutil.Process(process.pid).children(recursive=True)
        except psutil.Error:
            return
        for member in members:
            with contextlib.suppress(psutil.Error):
                self._known[member.pid] = member
                used += member.memory_info().rss
        most = self._limits.memory_bytes
        if most is not None and used > most and self._limit is None and self._asked_at is None:
            self._limit = Failed(
                "memory_limit",
                f"Its processes took {used / 2**30:.1f} GiB of memory, and {most / 2**30:.3g} GiB is the limit of this "
                "job. Raise it, or make the batch smaller.",
            )
            self._ask(process)

    def _ask(self, process: subprocess.Popen[bytes]) -> None:
        self._asked_at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            self._watch_memory(process)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)  # the keeper kills them all
            # Its pipes must not fill up meanwhile.
            deadline = time.monotonic() + _KILLED_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                self._hear(0.05)
            process.kill()
            process.wait()
        # The keeper itself may have been killed; what we saw of its descendants goes, too.
        for member in self._known.values():
            with contextlib.suppress(psutil.Error):
                if member.is_running():
                    member.kill()

    def _hear(self, seconds: float) -> bool:
        """Takes one line, waiting for it so long; answers whether there was one. Without waiting, takes many."""
        try:
            where, line = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
        except queue.Empty:
            return False
        self._take(where, line)
        for _ in range(1000):
            try:
                where, line = self._lines.get_nowait()
            except queue.Empty:
                break
            self._take(where, line)
        return True

    def _take(self, where: str, line: str) -> None:
        event = read_event(line) if where == "out" else None
        if event is None:
            self._moved_at = time.monotonic()
            if line.strip():
                self._on_line(line[:_LONGEST_TOLD])
            return
        if isinstance(event, Progress):
            standing = (event.phase, event.epoch, event.step, event.doing)
            if standing != self._standing:
                self._standing = standing
                self._moved_at = time.monotonic()
        else:
            self._moved_at = time.monotonic()
        if isinstance(event, Ended | Failed):
            self._last_words = event
        else:
            self._on_event(event)

    def _read(self, pipe: IO[bytes], where: str) -> None:
        """Puts whole lines into the queue; one that never ends is cut."""
        while line := pipe.readline(_LONGEST_LINE):
            self._lines.put((where, line.decode("utf-8", "replace").rstrip("\r\n")))

    def _end(self, code: int) -> RunEnd:
        if self._why == "lost":
            return RunEnd("lost", why="lost")
        if isinstance(self._last_words, Ended):
            # Drivers have been seen to crash while Python leaves; by then everything is on the disk.
            return RunEnd("ended", ended=self._last_words)
        since = time.monotonic() - self._asked_at if self._asked_at is not None else 0.0
        if self._limit is not None:
            return RunEnd(
                "failed", failed=self._limit, left_checkpoint=code == STOPPED, stopping_seconds=since
            )
        if self._why is not None:
            return RunEnd("stopped", why=self._why, left_checkpoint=code == STOPPED, stopping_seconds=since)
        if isinstance(self._last_words, Failed):
            return RunEnd("failed", failed=self._last_words)
        if code == STOPPED:
            return RunEnd("died", sentence="It was asked to stop by somebody else.")
        return RunEnd("died", sentence=_how_it_died(code))


def _how_it_died(code: int) -> str:
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        return "The program was killed from outside (SIGKILL), most likely because memory ran out."
    try:
        return f"The program was ended by {signal.Signals(number).name}."
    except ValueError:
        if code == 0:
            return "The program ended without saying how it went."
        return f"The program ended with code {code} and without a word; its log has the rest."
