"""The data folder of a single-machine stack: whether one stack alone uses it, and who can read its secrets."""

from __future__ import annotations

import contextlib
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
    if record is not None:
        for child in record.children.values():
            ours |= {child.pid, *session_members(child.pid)}
        if record.supervisor is not None and record.supervisor.is_this_one():
            # Its guardian is written down nowhere, nor is a child that has just been started anew.
            with contextlib.suppress(psutil.Error):
                family = psutil.Process(record.supervisor.pid).children(recursive=True)
                ours |= {record.supervisor.pid, *(one.pid for one in family)}
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
