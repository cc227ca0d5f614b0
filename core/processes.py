"""Names a process beyond doubt: which machine and process space, which number, and when it began."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil


def host_identity() -> str:
    """This machine since its last boot, and this process space: numbers compare only inside one of these."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8])
        parts.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    except OSError:
        pass  # not Linux: the name has to do
    return "/".join(parts)


def process_started(pid: int | None = None) -> float:
    """When a process began, in seconds since the epoch; 0.0 for one that is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def is_alive(pid: int, started: float) -> bool:
    """Whether the process of that number is still the one that began at that time."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
