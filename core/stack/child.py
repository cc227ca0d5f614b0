"""One child process of the stack: how it is started, asked whether it is up, and stopped with all its descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.errors import StackError

TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True)
class Program:
    """What to run, and how to tell that it is up."""

    name: str
    command: tuple[str, ...]
    folder: Path  # its working folder, so that nothing it reads from "." is the user's
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)  # the whole of it: nothing is inherited
    is_ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 120.0  # a busy machine takes its time; who ends instead is noticed at once
    title: str = ""  # what people are told it is


def tethered(command: tuple[str, ...], number: signal.Signals) -> list[str]:
    """The command that runs `command` and has it signalled when this process, or the calling thread, ends."""
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(number)), *command]


class Child:
    """A running `Program`, in a session of its own: Ctrl-C on the terminal reaches the supervisor only."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0  # as the kernel has it: with the pid, it names one process for ever

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        program = self.program
        program.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with program.log.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(program.command, signal.SIGKILL),
                cwd=program.folder,
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        try:
            self.started_at = psutil.Process(self._process.pid).create_time()
        except psutil.NoSuchProcess:
            self.started_at = 0.0

    def exit_code(self) -> int | None:
        """None while it runs. A negative number is the signal that ended it."""
        return None if self._process is None else self._process.poll()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Returns when it is up, or when `give_up` says that nobody waits any longer.

        Raises:
            StackError: when it ends first or takes too long, with the last lines it wrote.
        """
        program = self.program
        deadline = time.monotonic() + program.ready_seconds
        while not give_up() and not program.is_ready():
            code = self.exit_code()
            if code is not None:
                raise StackError(f"{program.name} ended at once ({ending(code)}).{last_lines(program.log)}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{program.name} is not up after {program.ready_seconds:.0f} s.{last_lines(program.log)}"
                )
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """Signals the process itself; it passes on to its own children what they should know."""
        if self.is_running() and self.pid is not None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the process and whatever it left in its session."""
        if self._process is None:
            return
        kill_session(self._process.pid)
        self._process.wait()

    def stop(self, seconds: float) -> None:
        """Asks it to end, and ends it after `seconds`."""
        self.signal(signal.SIGTERM)
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()


def kill_session(session: int) -> None:
    """Kills every process of a session, its leader included, until none is left."""
    # A member may fork while the list is being read, hence more than one pass.
    for _ in range(20):
        members = session_members(session)
        if not members:
            return
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def session_members(session: int) -> list[int]:
    """The living processes of a session; zombies have nothing left to kill."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (psutil.Error, ProcessLookupError, PermissionError):
            continue
    return members


def ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented, to stand under a message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            lines = file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in [f"{log}:", *lines]) if lines else ""
