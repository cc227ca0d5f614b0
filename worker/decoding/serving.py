"""Inside a decoding process: takes a file, decodes it, lays down what came out of it, and waits for the next."""

from __future__ import annotations

import os
import socket
import traceback
from typing import Any, BinaryIO

import av.subtitles.stream  # noqa: F401  # PyAV loads it with the first film that has some
import numpy as np
import numpy.typing as npt
from PIL import AvifImagePlugin, Image

from worker.decoding.answers import tell
from worker.decoding.bounds import Bounds, allow_cpu
from worker.decoding.messages import Hung, receive, send
from worker.inputs import read_input
from worker.ml import audio_readers, images
from worker.ml.audio import Limits
from worker.ml.errors import MediaError

_LONGEST_TRACE = 8_000


def get_ready() -> None:
    """Loads whatever libraries would load with the first file of a kind: nobody may not read our code everywhere."""
    Image.init()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # none can be started, and the other core has work


def serve(line: socket.socket, result: int, bounds: Bounds) -> None:
    """Answers questions until the worker hangs up."""
    try:
        send(line, {"ready": True})
        while True:
            question, files = receive(line)
            allow_cpu(bounds.cpu_seconds)
            with os.fdopen(files[0], "rb", buffering=0) as file:
                answer = _answer(question, file, result)
            send(line, answer)
    except Hung:
        return


def _answer(question: dict[str, Any], file: BinaryIO, result: int) -> dict[str, Any]:
    try:
        file.seek(0)  # where it stands is shared with whoever had it before
        given = read_input(question["kind"], file, Limits(**question["limits"]))
        _lay_down(given.data, result)
    except MediaError as error:
        return {"code": error.code, "message": error.message}
    except MemoryError:
        refusal = (images if question["kind"] == "face" else audio_readers).needs_memory()
        return {"code": refusal.code, "message": refusal.message}
    except Exception:  # noqa: BLE001  # a fault of ours: the worker tells it, this process goes on
        return {"fault": traceback.format_exc()[-_LONGEST_TRACE:]}
    return tell(given)


def _lay_down(data: npt.NDArray[Any], result: int) -> None:
    content = np.ascontiguousarray(data).reshape(-1).view(np.uint8).data
    at = 0
    while at < len(content):
        at += os.pwrite(result, content[at:], at)
