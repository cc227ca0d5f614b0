"""Recordings on their way to the service: hashed here, sent once, and never a reason to stop the others.

A file that cannot be read, or that the service does not take, becomes an item that carries its reason. The job
then tells of every file that was given, and nobody has to compare two lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from core.client import Client
from core.errors import TooLarge
from core.manifest import Line
from core.specs import NewItem

# Enough to keep a local service busy; hashing releases the interpreter's lock, and so does the network.
THREADS = 4

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

    with ThreadPoolExecutor(THREADS, thread_name_prefix="send") as threads:
        waiting = [threads.submit(one, line) for line in lines]
        try:
            return [future.result() for future in waiting]
        except BaseException:
            # Ctrl-C included: without this, leaving the block would first send all that is still in line.
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _send(client: Client, line: Line, sent: set[str]) -> NewItem:
    try:
        with line.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 not in sent and not client.has_recording(sha256):
                file.seek(0)
                # What arrived counts: a file may grow between the hashing and the sending.
                sha256 = client.send_recording(file)
            sent.add(sha256)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return _left_behind(line, "unreadable_file", f"This file cannot be read: {reason}.")
    except TooLarge as error:
        return _left_behind(line, error.code, error.message)
    return NewItem(key=line.key, name=line.name, recording=sha256, error_code=None, error_message=None)


def _left_behind(line: Line, code: str, message: str) -> NewItem:
    return NewItem(key=line.key, name=line.name, recording=None, error_code=code, error_message=message)
