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
from worker.ml.device_failures import is_lost_device, is_out_of_memory
from worker.ml.networks.pretrained import Pictures
from worker.models import draw_all
from worker.shortage import DeviceLost, NoMemory, shortage_told

_TORCH_SAYS = (
    "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)
_LOG_WITH_A_FULL_DISK = """
import resource, structlog
from core.watching.logs import set_up_logs
set_up_logs()
structlog.get_logger().info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
structlog.get_logger().info("nobody will read this")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
structlog.get_logger().info("afterwards")
"""


class _Network:
    """Draws so many at a time and finds no memory for more, or fails otherwise."""

    def __init__(self, most: int, failure: str = _TORCH_SAYS) -> None:
        self.most, self.failure, self.asked = most, failure, 0

    def draw_with_landmarks(self, inputs: Sequence[Any], seed: int = 0) -> Pictures:
        self.asked += 1
        if len(inputs) > self.most:
            raise RuntimeError(self.failure)
        return Pictures(np.zeros((len(inputs), 4, 4, 3), np.uint8))


def test_a_batch_too_large_for_the_memory_is_drawn_in_parts() -> None:
    faces = draw_all(_Network(most=2), [np.zeros(8)] * 5)  # type: ignore[arg-type]
    assert len(faces) == 5
    assert not any(isinstance(face, Exception) for face in faces)


@pytest.mark.parametrize(
    "failure",
    [
        _TORCH_SAYS,
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB",
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_without_memory_for_a_single_face_no_recording_is_blamed(failure: str) -> None:
    network = _Network(most=0, failure=failure)
    with pytest.raises(NoMemory):
        draw_all(network, [np.zeros(8)] * 5)  # type: ignore[arg-type]
    assert network.asked == 3, "five, two and one"


def test_a_gpu_that_failed_is_not_asked_again_and_blames_no_recording() -> None:
    network = _Network(most=0, failure="CUDA error: an illegal memory access was encountered\nhints")
    with pytest.raises(
        DeviceLost, match=r"GPU failed \(CUDA error: an illegal memory access was encountered\)"
    ):
        draw_all(network, [np.zeros(8)] * 5)  # type: ignore[arg-type]
    assert network.asked == 1


def test_what_a_network_cannot_draw_fails_alone() -> None:
    faces = draw_all(_Network(most=0, failure="shapes"), [np.zeros(8)] * 3)  # type: ignore[arg-type]
    assert [str(face) for face in faces] == ["shapes"] * 3


def test_a_process_whose_gpu_failed_gives_back_its_work_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[Any] = []

    class Working:
        worker_id = "worker_1"

        def __init__(self, failure: Exception) -> None:
            self.failure = failure

        def run_until_idle(self) -> None:
            raise self.failure

        def close(self) -> None:
            did.append("closed")

    monkeypatch.setattr(tasks, "_earlier", set())
    monkeypatch.setattr(tasks.os, "_exit", did.append)
    for failure in (DeviceLost("it failed"), RuntimeError("CUDA error: unspecified launch failure")):
        monkeypatch.setattr(tasks, "_runner", Working(failure))
        with pytest.raises(type(failure)):
            tasks.work()
    assert did == ["closed", 70] * 2
    monkeypatch.setattr(tasks, "_runner", Working(NoMemory("there is none")))
    with pytest.raises(NoMemory):
        tasks.work()
    assert did[4:] == ["closed"], "where memory is short, the same process goes on later"


def test_other_failures_stay_what_they_are() -> None:
    assert is_out_of_memory(MemoryError()) and not is_lost_device(MemoryError())
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
