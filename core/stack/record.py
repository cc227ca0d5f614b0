"""What runs on a data folder, written down: for `doctor`, and for ending what a killed supervisor left behind."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import psutil

from core.stack.child import kill_session, session_members
from core.stack.credentials import write_private
from core.stack.folder import DataFolder


@dataclass(frozen=True)
class Process:
    """A process, named for ever: a pid alone may be another's tomorrow."""

    pid: int
    started_at: float  # seconds since 1970, as the kernel has it

    def is_this_one(self) -> bool:
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started_at) < 1.0
        except psutil.Error:
            return False


@dataclass(frozen=True)
class Record:
    url: str
    ready: bool = False
    sign_in_link: str = ""
    supervisor: Process | None = None
    children: dict[str, Process] = field(default_factory=dict)


def write(folder: DataFolder, record: Record) -> None:
    write_private(folder.record, json.dumps(asdict(record), indent=1) + "\n")


def read(folder: DataFolder) -> Record | None:
    """What the last supervisor wrote; None when there is nothing that can be read."""
    try:
        kept = json.loads(folder.record.read_text())
        return Record(
            url=kept["url"],
            ready=kept["ready"],
            sign_in_link=kept["sign_in_link"],
            supervisor=Process(**kept["supervisor"]) if kept["supervisor"] else None,
            children={name: Process(**process) for name, process in kept["children"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def end_leftovers(folder: DataFolder) -> list[str]:
    """Kills what still runs of an earlier stack on this folder, whose lock the caller holds. Returns their names."""
    record = read(folder)
    ended = []
    for name, process in (record.children if record else {}).items():
        # While a member of a session lives, the kernel gives its number to nobody else: a leader that is another
        # process means that the whole session is gone.
        if psutil.pid_exists(process.pid) and not process.is_this_one():
            continue
        if session_members(process.pid):
            kill_session(process.pid)
            ended.append(name)
    folder.record.unlink(missing_ok=True)
    return ended
