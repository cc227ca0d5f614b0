"""One decoding process as its worker sees it: started, asked about one file after another, watched, killed."""

from __future__ import annotations

import dataclasses
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from worker.decoding.answers import understand
from worker.decoding.bounds import Bounds
from worker.decoding.messages import Hung, memory_file, receive, send
from worker.inputs import Given
from worker.ml.audio import Limits
from worker.ml.errors import AudioError, PictureError

PROGRAM: Sequence[str] = ("-P", "-m", "worker.decoding")
CODE = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0  # it takes 0.2 s; a machine that has just come up may be slow
KEPT_BYTES = 8 * 2**20  # of memory that the result of a large file leaves behind
_SLICE_SECONDS = 0.5
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

Kind = Literal["voice", "face"]
How = Literal["crashed", "killed", "computed_too_long", "waited_too_long"]


class Ended(Exception):
    """The process is gone.

    Attributes:
        how: `killed` by somebody else, or as memory ran out; all the others are the doing of the file.
    """

    def __init__(self, how: How) -> None:
        super().__init__(how)
        self.how: How = how


class Fault(RuntimeError):
    """Decoding failed in a way that nobody thought of; the message is the trace in the other process."""


class NotStarted(OSError):
    """The process does not come up."""


class DecodingProcess:
    """A warm `python -m worker.decoding`. One thread at a time asks; another may close it meanwhile.

    Attributes:
        files: how many it was asked about.
    """

    def __init__(self, bounds: Bounds, program: Sequence[str] = PROGRAM) -> None:
        """Starts it and waits until it is ready. It dies with the thread that calls this.

        Raises:
            NotStarted: or any other OSError.
        """
        self.files = 0
        self._bounds = bounds
        self._result = memory_file("decoded")
        self._line, theirs = socket.socketpair()
        with theirs:
            words = [str(os.getpid()), str(theirs.fileno()), str(self._result.fileno())]
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *program, *words, json.dumps(dataclasses.asdict(bounds))],
                    env=_environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), self._result.fileno()),
                    start_new_session=True,
                )
            except BaseException:
                self._line.close()
                self._result.close()
                raise
        self._poll = select.poll()
        self._poll.register(self._line.fileno(), select.POLLIN)
        try:
            if not self._is_heard_within(START_SECONDS) or receive(self._line)[0] != {"ready": True}:
                raise NotStarted("The decoding process does not get ready.")
        except Hung as failure:
            self.close()
            raise NotStarted(f"The decoding process ended at its start: {failure}.") from failure
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def decode(self, kind: Kind, file: BinaryIO, limits: Limits) -> Given:
        """Have it decode one file.

        Raises:
            AudioError, PictureError: the file cannot be used.
            Ended: with the process; it is of no use any more.
            Fault: ours.
        """
        self.files += 1
        try:
            send(self._line, {"kind": kind, "limits": dataclasses.asdict(limits)}, file.fileno())
            if not self._is_heard_within(self._bounds.wall_seconds):
                self.close()
                raise Ended("waited_too_long")
            answer, _ = receive(self._line)
        except (Hung, ValueError) as failure:  # ValueError: another thread closed the line meanwhile
            raise Ended(self._how_it_ended()) from failure
        return self._given(kind, answer)

    def close(self) -> None:
        """Ends it, whatever it is doing. May be called more than once, and from any thread."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)  # who waits on it is told
        self._process.kill()
        self._process.wait()
        self._line.close()
        self._result.close()

    def _is_heard_within(self, seconds: float) -> bool:
        """Waits in short turns, each of which counts as no more than it was to last: while this process is stopped, or
        the machine asleep, nobody is too slow.
        """
        until_given_up = seconds
        while not self._poll.poll(1000 * min(_SLICE_SECONDS, until_given_up)):
            until_given_up -= _SLICE_SECONDS
            if until_given_up <= 0:
                return False
        return True

    def _how_it_ended(self) -> How:
        try:
            code = self._process.wait(1.0)  # the line goes a moment before the process
        except subprocess.TimeoutExpired:
            code = 0  # it hung up, or talks nonsense, and lives on: nothing of ours does that
        self.close()
        if code == -signal.SIGXCPU:
            return "computed_too_long"
        return "killed" if -code in _FROM_OUTSIDE else "crashed"

    def _given(self, kind: Kind, answer: dict[str, Any]) -> Given:
        """Takes the answer for no more than it is: the process may have been taken over by the file."""
        if isinstance(code := answer.get("code"), str) and isinstance(message := answer.get("message"), str):
            raise AudioError(code, message) if kind == "voice" else PictureError(code, message)
        if isinstance(fault := answer.get("fault"), str):
            raise Fault(fault)
        given = understand(kind, answer, self._bounds.result_bytes)
        if given is None or not self._read_into(given.data):
            self.close()
            raise Ended("crashed")
        if given.data.nbytes > KEPT_BYTES:
            self._result.truncate(0)
        return given

    def _read_into(self, data: npt.NDArray[Any]) -> bool:
        # Copied, not mapped: whoever shortens a mapped file kills those that look at it.
        content = data.reshape(-1).view(np.uint8).data
        at = 0
        while at < len(content):
            got = os.preadv(self._result.fileno(), [content[at:]], at)
            if got == 0:
                return False
            at += got
        return True


def _environment() -> dict[str, str]:
    """What a process that reads strangers' files needs of ours: where libraries lie, and no secret."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "LANG", "TZ") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(CODE),
        "PYTHONDONTWRITEBYTECODE": "1",
        # One file at a time in each: further threads could not be started, and would only take cores from others.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
