"""Has the kernel give up connections to a host that fell silent, as one whose cable is pulled does.

Such a host closes nothing: gloo waits half an hour for what it would have said. How long a host computes tells nothing
of it, since a validation may take as long; but its kernel answers ours all the while. So connections are asked for
a sign of life, and one that has been silent for two minutes is an error to whoever waits for it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path

SILENT_SECONDS = 120
_ASK_AFTER_SECONDS = 60
_ASK_AGAIN_SECONDS = 15
_LOOK_SECONDS = 2.0  # from one look for new connections to the next: NCCL makes them with its first exchange
# An address that nobody answers for is told as such.
_SIGNS = ("Connection timed out", "No route to host", "Host is unreachable")


def watch_connections() -> None:
    """Sees to all TCP connections of this process from now on, those made later too. Only Linux tells of them."""
    if sys.platform == "linux":
        threading.Thread(target=_keep_looking, name="silent-hosts", daemon=True).start()


def bound_connections(known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Bounds the silence of those that are not known; answers the names of all sockets there are."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed meanwhile
            name = str(number.readlink())
            if not name.startswith("socket:"):
                continue
            if name not in known:
                # Options belong to what both numbers stand for, and libraries keep theirs.
                with socket.socket(fileno=os.dup(int(number.name))) as one:
                    _bound(one)
            found.add(name)
    return frozenset(found)


def is_silence(failure: BaseException) -> bool:
    """Whether a connection was given up because the other host did not answer."""
    return any(sign in str(failure) for sign in _SIGNS)


def _keep_looking() -> None:
    known: frozenset[str] = frozenset()
    pause = threading.Event()
    while True:
        known = bound_connections(known)
        pause.wait(_LOOK_SECONDS)


def _bound(one: socket.socket) -> None:
    if sys.platform != "linux" or one.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if one.type != socket.SOCK_STREAM:
        return
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASK_AFTER_SECONDS)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASK_AGAIN_SECONDS)
    # Also for what was sent and never confirmed, which is asked after for a quarter of an hour otherwise.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)
