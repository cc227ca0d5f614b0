"""Runs the stack beside the program that needs it, for as long as a block lasts."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import StackError
from core.stack.child import tethered
from core.stack.folder import DataFolder
from core.stack.record import Record, read
from core.stack.services import CHECKOUT

STOP_SECONDS = 20.0  # the stack itself takes at most 15


@dataclass(frozen=True)
class RunningStack:
    """A stack that is up."""

    url: str
    token: str
    sign_in_link: str
    folder: DataFolder
    supervisor: subprocess.Popen[bytes]

    def record(self) -> Record:
        record = read(self.folder)
        if record is None:
            raise StackError("The stack has ended.")
        return record


@contextmanager
def running_stack(
    data: Path,
    port: int | None = None,
    *,
    environ: Mapping[str, str],
    quiet: bool = True,
    ready_seconds: float = 300.0,
    module: str = "core.stack",
) -> Iterator[RunningStack]:
    """Starts a stack, waits until it is ready, and stops it when the block ends. Its data stay.

    It is asked to stop, too, when this process or the thread that entered the block ends otherwise. `module` is there
    for tests, which put a stack of stand-ins in its place.

    Raises:
        StackError: it cannot start; the sentence is the stack's own.
    """
    folder = DataFolder(data.absolute())
    command = [sys.executable, "-m", module, "--data", str(folder.path)]
    if port is not None:
        command += ["--port", str(port)]
    with tempfile.TemporaryFile() as complaints:
        supervisor = subprocess.Popen(
            tethered(tuple(command), signal.SIGTERM),
            # A terminal's Ctrl-C is for the caller, who then leaves the block.
            start_new_session=True,
            cwd=CHECKOUT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else None,
            stderr=complaints,
        )
        try:
            record = _wait(folder, supervisor, ready_seconds)
            if record is None:
                complaints.seek(0)
                told = complaints.read().decode(errors="replace").strip()
                raise StackError(told or f"The stack is not ready; see {folder.log('any').parent}.")
            client = json.loads(folder.client.read_text())
            yield RunningStack(client["url"], client["token"], record.sign_in_link, folder, supervisor)
        finally:
            supervisor.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                supervisor.wait(STOP_SECONDS)
            supervisor.kill()
            supervisor.wait()


def _wait(folder: DataFolder, supervisor: subprocess.Popen[bytes], seconds: float) -> Record | None:
    deadline = time.monotonic() + seconds
    while supervisor.poll() is None and time.monotonic() < deadline:
        record = read(folder)
        # The file may still be that of an earlier run.
        if record and record.ready and record.supervisor and record.supervisor.pid == supervisor.pid:
            return record
        time.sleep(0.1)
    return None
