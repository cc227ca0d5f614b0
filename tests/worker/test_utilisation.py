"""What a worker measures of itself, with a GPU's driver, without one, and where CUDA counts GPUs anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

from worker.utilisation import Meter, visible_gpu


def test_a_worker_counts_its_programs_in() -> None:
    meter = Meter("cpu")
    alone = meter.measure()
    assert alone["memory_bytes"] > 10**7
    assert alone["device_name"]
    assert "gpu_percent" not in alone
    hungry = "import time; held = bytearray(80_000_000); print('.', flush=True); time.sleep(60)"
    program = subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        program.stdout.read(1)
        assert meter.measure()["memory_bytes"] > alone["memory_bytes"] + 80_000_000
        program.kill()


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cpu", None, None),
        ("auto", None, 0),
        ("cuda:1", None, 1),
        ("cuda:1", "3,2", 2),
        ("cuda", "GPU-8f3", "GPU-8f3"),
        ("auto", "", None),
        ("cuda:4", "0", None),
    ],
)
def test_the_driver_is_asked_about_the_gpu_that_cuda_means(
    device: str, visible: str | None, expected: int | str | None
) -> None:
    assert visible_gpu(device, visible) == expected
