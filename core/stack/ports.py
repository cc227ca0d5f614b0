"""Free loopback ports, remembered, so that a restarted stack is found where it was."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # Without this, a port whose old connections are still in TIME_WAIT looks taken for a minute after a restart.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def choose(
    names: Iterable[str],
    wanted: dict[str, int] | None = None,
    suits: Callable[[int], bool] = lambda port: True,
) -> dict[str, int]:
    """A free port for every name: the wanted one where it is still free, otherwise one the kernel picks."""
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in names:
            port = (wanted or {}).get(name)
            if port in chosen.values() or not (port and is_free(port) and suits(port)):
                port = None
            while port is None:
                # All are held open until the last is chosen, so that the kernel cannot hand one out twice.
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                held.append(listener)
                listener.bind((LOOPBACK, 0))
                number = int(listener.getsockname()[1])
                port = number if suits(number) else None
            chosen[name] = port
    finally:
        for listener in held:
            listener.close()
    return chosen


def choose_and_remember(
    names: Iterable[str], file: Path, suits: Callable[[int], bool] = lambda port: True
) -> dict[str, int]:
    """Like `choose`, keeping the answer in `file` for the next start."""
    try:
        wanted = {str(name): int(port) for name, port in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        # Nothing remembered, or not readable any more: any free ports will do.
        wanted = {}
    chosen = choose(names, wanted, suits)
    if chosen != wanted:
        file.write_text(json.dumps(chosen, indent=1) + "\n")
    return chosen
