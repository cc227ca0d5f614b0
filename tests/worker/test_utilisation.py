"""What a worker measures of itself, with a GPU's driver, without one, and where CUDA counts GPUs anew."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

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


class _Driver(types.ModuleType):
    """NVML as far as a worker asks it. `refused` are the questions that this GPU does not answer."""

    class NVMLError(Exception):
        pass

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, refused: frozenset[str] = frozenset()) -> None:
        super().__init__("pynvml")
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        said = {
            "nvmlInit": None,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetName": "Some GPU",
            "nvmlDeviceGetUtilizationRates": types.SimpleNamespace(gpu=87),
            "nvmlDeviceGetMemoryInfo": types.SimpleNamespace(used=2**30, total=2**33),
            "nvmlDeviceGetTemperature": 64,
        }

        def answer(*_: Any) -> Any:
            if name in self._refused:
                raise self.NVMLError
            return said[name]

        return answer


def test_a_gpu_tells_how_busy_full_and_hot_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", _Driver())
    measured = Meter("cuda").measure()
    assert {name: measured[name] for name in measured if name.startswith("gpu") or name == "device_name"} == {
        "device_name": "Some GPU",
        "gpu_percent": 87,
        "gpu_memory_bytes": 2**30,
        "gpu_memory_total_bytes": 2**33,
        "gpu_celsius": 64,
    }


@pytest.mark.parametrize("refused", ["nvmlDeviceGetTemperature", "nvmlDeviceGetUtilizationRates", "nvmlInit"])
def test_what_a_driver_does_not_say_is_left_out(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", _Driver(frozenset({refused})))
    measured = Meter("cuda").measure()
    left_out = {
        "nvmlDeviceGetTemperature": {"gpu_celsius"},
        "nvmlDeviceGetUtilizationRates": {"gpu_percent"},
        "nvmlInit": {"gpu_percent", "gpu_memory_bytes", "gpu_memory_total_bytes", "gpu_celsius"},
    }[refused]
    every = {"gpu_percent", "gpu_memory_bytes", "gpu_memory_total_bytes", "gpu_celsius"}
    assert every - set(measured) == left_out
    assert measured["memory_bytes"] > 0
