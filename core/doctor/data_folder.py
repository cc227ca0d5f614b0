"""The data folder of a single-machine stack: whether one stack alone uses it, and who can read its secrets."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from core.doctor.findings import Finding
from core.doctor.variables import readable_by_others
from core.stack.child import session_members
from core.stack.folder import DataFolder
from core.stack.record import read

PART = "data folder"


def look(path: Path) -> list[Finding]:
    """What can be seen of it without changing anything."""
    folder = DataFolder(path.absolute())
    secrets = (folder.credentials, folder.client, folder.record, folder.ledger)
    found = [] if _is_private(folder.path) else readable_by_others(secrets)
    return found + _strangers(folder)


def _is_private(path: Path) -> bool:
    """Whether others cannot even enter it, so that the modes of its files do not matter."""
    return path.exists() and not path.stat().st_mode & 0o001


def _strangers(folder: DataFolder) -> list[Finding]:
    """Processes that work in the folder and do not belong to the stack that is written down there."""
    record = read(folder)
    ours: set[int] = set()
    for child in record.children.values() if record else ():
        ours |= {child.pid, *session_members(child.pid)}
    strange = []
    for process in psutil.process_iter(["pid", "cwd", "name"]):
        cwd = process.info["cwd"]
        if cwd and process.pid not in ours and process.pid != os.getpid() and Path(cwd) == folder.run:
            strange.append(f"{process.info['name']} ({process.pid})")
    if not strange:
        return []
    says = f"Processes of another stack work on {folder.path}: {', '.join(strange[:5])}."
    do = "Stop both, end these processes, and start one: the next start does so by itself."
    return [Finding("two_stacks", PART, says, do)]
