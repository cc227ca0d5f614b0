"""A limit of memory that the kernel holds processes to, as a container has one: whoever goes over it is killed."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryLimit:
    """A control group, of the first or the second version."""

    folder: Path

    @property
    def killed(self) -> int:
        """How many processes the kernel has killed for it."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                found = re.search(r"^oom_kill (\d+)$", (self.folder / name).read_text(), re.MULTILINE)
                return int(found[1]) if found else 0
        return 0

    def hold(self, processes: Iterable[psutil.Process], more_bytes: int) -> None:
        """Lets them take so much more than they have; what a process brings along counts where it came from."""
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (self.folder / name).exists():
                (self.folder / name).write_text(str(more_bytes))
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                (self.folder / "cgroup.procs").write_text(str(process.pid))

    def let_go(self) -> None:
        """Lets all of them go back to where this process is."""
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (self.folder.parent / "cgroup.procs").write_text(pid)


@contextmanager
def memory_limit() -> Iterator[MemoryLimit]:
    """Making groups takes rights that not everybody has: a test is skipped for want of them."""
    folder = _own_group() / "voicesketch-test"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no limit of memory can be made here: {error}")
    limit = MemoryLimit(folder)
    try:
        if not any((folder / name).exists() for name in ("memory.max", "memory.limit_in_bytes")):
            pytest.skip("the control groups here count no memory")
        yield limit
    finally:
        deadline = time.monotonic() + 30
        while True:
            limit.let_go()
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            assert time.monotonic() < deadline, "somebody is still in the group"
            time.sleep(0.1)


def _own_group() -> Path:
    groups = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    if "memory" in groups:
        return _GROUPS / "memory" / groups["memory"].lstrip("/")
    return _GROUPS / groups.get("", "/").lstrip("/")
