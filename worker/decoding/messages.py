"""What a worker and its decoding processes say to each other: short JSON texts over a socket, each after its length.

Contents do not go this way. The file is handed over as an open descriptor with the question, and the samples or pixels
lie in a memory file that both have.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO

LONGEST = 64 * 1024  # bytes; messages of ours are far shorter
_LENGTH = struct.Struct("!I")


class Hung(Exception):
    """The other side hung up, or says what is no message."""


def send(line: socket.socket, message: dict[str, Any], file: int | None = None) -> None:
    """Send one message, and with it an open file.

    Raises:
        Hung: the other side is gone.
    """
    text = json.dumps(message).encode()
    framed = _LENGTH.pack(len(text)) + text
    try:
        sent = socket.send_fds(line, [framed], [file]) if file is not None else 0
        line.sendall(framed[sent:])
    except OSError as failure:
        raise Hung(str(failure)) from failure


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for one message; answers it and the descriptors that came with it.

    Raises:
        Hung: the other side is gone, or what came is no message.
    """
    files: list[int] = []
    got = b""
    wanted = _LENGTH.size
    try:
        while len(got) < wanted:
            piece, some, _, _ = socket.recv_fds(line, wanted - len(got), 1)
            files += some
            if not piece:
                raise Hung("it hung up")
            got += piece
            if wanted == _LENGTH.size == len(got):
                (length,) = _LENGTH.unpack(got)
                if length > LONGEST:
                    raise Hung("it announces a message that is too long")
                wanted += length
        message = json.loads(got[_LENGTH.size :])
        if not isinstance(message, dict):
            raise Hung("it sent something else than a message")
    except (Hung, OSError, ValueError) as failure:
        for file in files:
            os.close(file)
        raise failure if isinstance(failure, Hung) else Hung(str(failure)) from failure
    return message, files


def memory_file(name: str) -> BinaryIO:
    """An empty file in memory where there is such a thing, unbuffered, so that its descriptor tells all of it."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return os.fdopen(os.memfd_create(name), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
