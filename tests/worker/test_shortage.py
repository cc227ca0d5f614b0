"""A worker without memory gives its work back; it blames no recording, and what is told of it cannot stop it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from worker import tasks
from worker.ml.networks.pretrained import Pictures
from worker.models import draw_all
from worker.shortage import NoMemory, is_shortage, shortage_told

_TORCH_SAYS = (
    "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)
_LOG_WITH_A_FULL_DISK = """
import resource, structlog
from core.logs import set_up_logs
set_up_logs()
structlog.get_logger().info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
structlog.get_logger().info("nobody will read this")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
structlog.get_logger().info("afterwards")
"""


class _Network:
    """Draws so many at a time and finds no memory for more."""

    def __init__(self, most: int) -> None:
        self.most = most

    def draw_with_landmarks(self, inputs: Sequence[Any], seed: int = 0) -> Pictures:
        if len(inputs) > self.most:
            raise RuntimeError(_TORCH_SAYS)
        return Pictures(np.zeros((len(inputs), 4, 4, 3), np.uint8))


def test_a_batch_too_large_for_the_memory_is_drawn_in_parts() -> None:
    faces = draw_all(_Network(most=2), [np.zeros(8)] * 5)  # type: ignore[arg-type]
    assert len(faces) == 5
    assert not any(isinstance(face, Exception) for face in faces)


def test_without_memory_for_a_single_face_no_recording_is_blamed() -> None:
    with pytest.raises(NoMemory):
        draw_all(_Network(most=0), [np.zeros(8)] * 5)  # type: ignore[arg-type]


def test_other_failures_stay_what_they_are() -> None:
    assert is_shortage(MemoryError())
    with pytest.raises(RuntimeError, match="shapes"), shortage_told():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_a_worker_that_cannot_even_close_does_not_go_on_half_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closing:
        worker_id = "worker_1"

        def close(self) -> None:
            raise OSError("no space left on device")

    monkeypatch.setattr(tasks, "_runner", Closing())
    monkeypatch.setattr(tasks, "_earlier", set())
    with pytest.raises(OSError, match="no space"):
        tasks._end_runner()
    assert tasks._runner is None


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the size of files stands for a full disk")
def test_a_full_disk_under_the_log_loses_lines_and_stops_nobody(tmp_path: Any) -> None:
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-c", _LOG_WITH_A_FULL_DISK]
        subprocess.run(command, stderr=log, env=os.environ, check=True, timeout=60)
    told = (tmp_path / "log").read_text()
    assert "before" in told
    assert "afterwards" in told
