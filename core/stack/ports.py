"""Free loopback ports, remembered, so that a restarted stack is found where it was."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

LOOPBACK = "127.0.0.1"
HIGHEST = 65535


def is_free(port: int) -> bool:
    return why_not(port) is None


def why_not(port: int) -> str | None:
    """What stands in the way of listening there; None where nothing does."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # Without this, a port whose old connections are still in TIME_WAIT looks taken for a minute after a restart.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except PermissionError:
            return "is one that only root may use"
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is in use by another program" if taken else f"cannot be used ({error.strerror})"
    return None


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def http_status(port: int, path: str, *, timeout_seconds: float) -> int | None:
    """What an HTTP server there answers to a stranger; None where nobody answers in time."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def choose(
    names: Iterable[str],
    wanted: Mapping[str, int] | None = None,
    suits: Callable[[int], bool] = lambda port: True,
    beside: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """A free port for every name: the wanted one where it is still free, otherwise one the kernel picks.

    Args:
        suits: whether a port that is free can be used.
        beside: for some names, the distance to a second port that must be free and is kept free of the other names.
    """
    chosen: dict[str, int] = {}
    taken: set[int] = set()
    for name in names:
        distance = (beside or {}).get(name, 0)
        port = (wanted or {}).get(name) or _any_free()
        while True:
            both = {port, port + distance}
            if not both & taken and all(
                number <= HIGHEST and is_free(number) and suits(number) for number in both
            ):
                break
            port = _any_free()
        chosen[name] = port
        taken |= both
    return chosen


def choose_and_remember(
    names: Iterable[str],
    file: Path,
    suits: Callable[[int], bool] = lambda port: True,
    beside: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Like `choose`, keeping the answer in `file` for the next start."""
    try:
        wanted = {str(name): int(port) for name, port in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        # Nothing remembered, or not readable any more: any free ports will do.
        wanted = {}
    chosen = choose(names, wanted, suits, beside)
    if chosen != wanted:
        file.write_text(json.dumps(chosen, indent=1) + "\n")
    return chosen


def _any_free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])
