"""What a worker uses of its machine, told with its heartbeat so that people see which one is slow, hot or full.

The driver of a GPU is asked through NVML, and only where the worker computes on one. It may be missing or answer a
part of the questions; whatever it does not say is left out, for no number here is worth a heartbeat.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
from collections.abc import Callable
from typing import Any

import psutil


class Meter:
    """Measures this very process. Not for several threads at once.

    Args:
        device: as the settings name it: auto, cpu, cuda or cuda:N.
    """

    def __init__(self, device: str) -> None:
        self._process = psutil.Process()
        self._children: dict[int, psutil.Process] = {}
        self._process.cpu_percent(None)  # the first answer is always 0: it has nothing to compare with
        self._nvml, self._gpu = _open_gpu(device)

    def measure(self) -> dict[str, Any]:
        """See `core.claims.workers.tell_utilisation`. Trainings run in child processes, which count in."""
        cpu, memory = _use(self._process)
        seen: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            for child in self._process.children(recursive=True):
                # Kept between two calls: a process compares with its own last answer.
                known = seen[child.pid] = self._children.get(child.pid, child)
                used = _use(known)
                cpu, memory = cpu + used[0], memory + used[1]
        self._children = seen
        measured: dict[str, Any] = {
            "cpu_percent": round(cpu, 1),
            "memory_bytes": memory,
            "device_name": platform.processor() or platform.machine() or "CPU",
        }
        if self._gpu is not None:
            measured |= self._ask_gpu()
        return measured

    def _ask_gpu(self) -> dict[str, Any]:
        nvml, gpu = self._nvml, self._gpu
        said: dict[str, Any] = {}

        def ask(name: str, question: Callable[[], Any]) -> None:
            with contextlib.suppress(nvml.NVMLError):
                said[name] = question()

        ask("device_name", lambda: str(nvml.nvmlDeviceGetName(gpu)))
        ask("gpu_percent", lambda: int(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu))
        ask("gpu_memory_bytes", lambda: int(nvml.nvmlDeviceGetMemoryInfo(gpu).used))
        ask("gpu_memory_total_bytes", lambda: int(nvml.nvmlDeviceGetMemoryInfo(gpu).total))
        ask("gpu_celsius", lambda: int(nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)))
        return said


def visible_gpu(device: str, visible: str | None) -> int | str | None:
    """Which GPU of the machine a device name means: its number, its UUID, or None for no GPU.

    Args:
        visible: the value of CUDA_VISIBLE_DEVICES, which renumbers GPUs for CUDA but not for the driver.
    """
    if device == "cpu":
        return None
    number = int(device.partition(":")[2] or 0)
    if visible is None:
        return number
    listed = [one.strip() for one in visible.split(",")]
    if number >= len(listed) or listed[number] in ("", "-1"):
        return None
    return int(listed[number]) if listed[number].isdigit() else listed[number]


def _open_gpu(device: str) -> tuple[Any, Any]:
    which = visible_gpu(device, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if which is None:
        return None, None
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return None, None
    try:
        nvml.nvmlInit()
        gpu = (
            nvml.nvmlDeviceGetHandleByIndex(which)
            if isinstance(which, int)
            else nvml.nvmlDeviceGetHandleByUUID(which)
        )
    except nvml.NVMLError:
        return None, None
    return nvml, gpu


def _use(process: psutil.Process) -> tuple[float, int]:
    try:
        return float(process.cpu_percent(None)), int(process.memory_info().rss)
    except psutil.Error:
        return 0.0, 0
