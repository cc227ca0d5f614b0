"""This machine: room on its disks, a cache that can be written to, and enough files that may be open."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.doctor.findings import Finding

PART = "machine"
LEAST_BYTES = 2**30
LEAST_SHARE = 0.02
FEWEST_FILES = 1024  # a dashboard with many open pages, or a worker with a large dataset, comes near


def installed(facts: Mapping[str, Any]) -> list[Finding]:
    """What is missing of the programs and libraries, whether anything is started or not.

    Args:
        facts: as `core.stack.inspection.inspect` answers them.
    """
    found = [
        Finding("server_missing", PART, server["problem"], "Or use servers of your own: docs/deployment.md.")
        for server in facts["servers"].values()
        if server["problem"]
    ]
    if not facts["sqlite"]["safe"]:
        says = f"The SQLite library {facts['sqlite']['version']} can corrupt its file; 3.51.3 is the oldest safe."
        found.append(Finding("sqlite_unsafe", PART, says, "Install the pysqlite3 of requirements.lock."))
    if facts["devices"].get("problem"):
        says = f"Nothing can be drawn here: {facts['devices']['problem']}"
        do = "A machine of a dashboard needs no torch; one of a worker needs requirements.lock."
        found.append(Finding("torch_broken", PART, says, do))
    return found


def disks(folders: Iterable[Path]) -> list[Finding]:
    """Whether there is room where we write; folders on the same disk are told once."""
    found: dict[int, Finding] = {}
    for folder in folders:
        there = existing(folder)
        usage = shutil.disk_usage(there)
        if usage.free >= LEAST_BYTES and usage.free >= LEAST_SHARE * usage.total:
            continue
        says = f"Only {usage.free / 2**20:,.0f} MiB of {usage.total / 2**20:,.0f} are free where {folder} is."
        do = "Make room, or let old things go by a rule: voicesketch retention set faces --days 30."
        severity = "problem" if usage.free < LEAST_BYTES else "warning"
        device = there.stat().st_dev
        found.setdefault(device, Finding("disk_nearly_full", "disk", says, do, severity))  # type: ignore[arg-type]
    return list(found.values())


def cache(folder: Path) -> list[Finding]:
    """Whether a worker can keep models there. Writes a small file, and removes it."""
    folder = folder.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"voicesketch")
    except OSError as error:
        says = f"The cache folder {folder} cannot be written to ({error.strerror})."
        do = "Give it to the user that runs us, or set VOICESKETCH_CACHE_FOLDER to another."
        return [Finding("cache_not_writable", "disk", says, do)]
    return []


def open_files() -> list[Finding]:
    """Whether the limit of open files, which the processes started from here share, is high enough."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEWEST_FILES:
        return []
    says = f"A process may have {soft} files open here, and {FEWEST_FILES} are needed when many people look at pages."
    do = "Raise it: ulimit -n 65536, or LimitNOFILE= of the service."
    return [Finding("few_open_files", PART, says, do, "warning")]


def existing(path: Path) -> Path:
    """The path itself or, before it was made, the nearest folder above it."""
    path = path.expanduser().absolute()
    while not path.exists():
        path = path.parent
    return path
