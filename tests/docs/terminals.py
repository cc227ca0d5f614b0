"""Terminals of somebody who has just cloned the repository: what is typed is run, and what comes of it is told."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.stack.child import tethered
from tests.conftest import REPOSITORY

_PATIENCE_SECONDS = 600.0
_READY = "Ctrl-C stops everything."


@dataclass(frozen=True)
class Answer:
    """What a command ended with, and what it printed on either stream."""

    code: int
    printed: str


def checkout(folder: Path) -> Path:
    """A copy of all files that git keeps or would keep, as they are now, set up as `make install` leaves it.

    The environment of the copy is this one. It runs the copy's code: see `surroundings`.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if not (REPOSITORY / name).is_file():
            continue  # deleted, and not committed yet
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name not in (".made", ".runtime", ".dev"):
            (environment / entry.name).symlink_to(entry)
    for stamp in (".made", ".runtime", ".dev"):
        (environment / stamp).touch()
    return folder


def surroundings(folder: Path, home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a new terminal: nothing of this project is in it but where the copy's code lies."""
    home.mkdir(exist_ok=True)
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "2",
        **(more or {}),
    }


class Terminal:
    """A shell. What a command sets or where it goes stays so for the next one."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._said = folder.parent / f"said-{id(self):x}.txt"
        self._shell = subprocess.Popen(
            tethered(("bash", "--noprofile", "--norc"), signal.SIGKILL),
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def type(self, command: str) -> Answer:
        """Runs it to its end.

        Raises:
            TimeoutError: it does not come to one.
        """
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null >'{self._said}' 2>&1; echo $?\n")
        if not select.select([self._shell.stdout], [], [], _PATIENCE_SECONDS)[0]:
            raise TimeoutError(f"{command} does not end:\n{self._said.read_text(errors='replace')[-2000:]}")
        code = self._shell.stdout.readline().strip()
        assert code, f"{command} ended the terminal"
        return Answer(int(code), self._said.read_text("utf-8", "replace"))

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()


class Running:
    """Commands in a terminal of their own, the last of which runs until Ctrl-C."""

    def __init__(
        self, commands: tuple[str, ...], folder: Path, environ: Mapping[str, str], ready: str = _READY
    ) -> None:
        self._said = folder.parent / f"said-{id(self):x}.txt"
        # In place of the shell, so that it is told, too, when whoever plays is killed.
        script = (*commands[:-1], f"exec env {commands[-1]}")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                tethered(("bash", "--noprofile", "--norc", "-e", "-c", "\n".join(script)), signal.SIGTERM),
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE_SECONDS
        while ready not in self.printed:
            if self._process.poll() is not None or time.monotonic() > until:
                self.close()
                raise AssertionError(f"{commands[-1]} is not ready:\n{self.printed[-2000:]}")
            time.sleep(0.1)

    @property
    def printed(self) -> str:
        return self._said.read_text("utf-8", "replace")

    def interrupt(self) -> int:
        """Ctrl-C. Answers the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(_PATIENCE_SECONDS)

    def close(self) -> None:
        """Ends it whatever it takes."""
        if self._process.poll() is None:
            try:
                self.interrupt()
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()


def at_work_in(folder: Path) -> list[str]:
    """The commands of processes that have the folder in their command line, or work in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and (
                str(folder) in words or Path(process.cwd()).is_relative_to(folder)
            ):
                found.append(words)
    return found
