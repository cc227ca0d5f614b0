"""Recordings on their way to the service: hashed here, sent once, and never a reason to stop the others.

A file that cannot be read, or that the service does not take, becomes an item that carries its reason. The job
then tells of every file that was given, and nobody has to compare two lists.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import IO

from core.client import Client
from core.errors import TooLarge
from core.incoming.manifest import Line
from core.specs import NewItem

# Enough to keep a local service busy; hashing releases the interpreter's lock, and so does the network.
THREADS = 4
# What is larger goes in parts, so that a break costs one of them and not the whole.
ONE_PIECE_BYTES = 64 * 2**20

Counted = Callable[[int], None]


def send_all(client: Client, lines: Sequence[Line], counted: Counted) -> list[NewItem]:
    """Sends what the service does not have yet; answers the job's items in the order of `lines`.

    Args:
        counted: told how many lines are done, after each.

    Raises:
        ServiceUnreachable, NotAllowed: this concerns every file, so it ends the sending.
    """
    sent: set[str] = set()
    lock = Lock()
    done = 0

    def one(line: Line) -> NewItem:
        nonlocal done
        item = _send(client, line, sent)
        with lock:
            done += 1
            counted(done)
        return item

    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="send")
    try:
        waiting = [threads.submit(one, line) for line in lines]
        return [future.result() for future in waiting]
    finally:
        # Nobody is waited for: after Ctrl-C a thread to which a service says nothing would hold us for minutes.
        threads.shutdown(wait=False, cancel_futures=True)


def _send(client: Client, line: Line, sent: set[str]) -> NewItem:
    try:
        with line.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 not in sent and not client.has_recording(sha256):
                # What arrived counts: a file may grow between the hashing and the sending.
                sha256 = _send_content(client, file, line.name, sha256)
            sent.add(sha256)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return _left_behind(line, "unreadable_file", f"This file cannot be read: {reason}.")
    except TooLarge as error:
        return _left_behind(line, error.code, error.message)
    return NewItem(key=line.key, name=line.name, recording=sha256, error_code=None, error_message=None)


def _send_content(client: Client, file: IO[bytes], name: str, sha256: str) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= ONE_PIECE_BYTES:
        return client.send_recording(file)
    upload = send_parts(client, file, name=name, size_bytes=size, fingerprint=sha256)
    return str(client.complete_upload(upload)["recording"])


def send_parts(
    client: Client,
    file: IO[bytes],
    *,
    name: str,
    size_bytes: int,
    fingerprint: str,
    archive: bool = False,
    counted: Callable[[int, int], None] = lambda done, parts: None,
) -> str:
    """Sends the parts that the service does not have yet; answers the id of the upload.

    Args:
        fingerprint: by which the upload is found again after a break.
        counted: told how many of the parts are there, and how many there are.

    Raises:
        OSError: the file became shorter meanwhile.
    """
    upload = client.begin_upload(name[-1000:] or "file", size_bytes, fingerprint, archive=archive)
    here = set(upload["sent"])
    for number in range(1, upload["parts"] + 1):
        if number not in here:
            file.seek((number - 1) * upload["part_bytes"])
            wanted = min(upload["part_bytes"], size_bytes - file.tell())
            part = file.read(wanted)
            if len(part) != wanted:
                raise OSError("it changed while it was sent")
            client.send_part(upload["id"], number, io.BytesIO(part))
            here.add(number)
        counted(len(here), upload["parts"])
    return upload["id"]


def _left_behind(line: Line, code: str, message: str) -> NewItem:
    return NewItem(key=line.key, name=line.name, recording=None, error_code=code, error_message=message)
