"""GPU, driver and torch: whether they go together. Judges what a process of its own found out about torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.doctor.findings import Finding

PART = "devices"
_DRIVER = Path("/proc/driver/nvidia/version")


def has_gpu(driver: Path = _DRIVER) -> bool:
    """Whether a driver for GPUs of NVIDIA is loaded."""
    return driver.exists()


def look(facts: Mapping[str, Any], *, gpu: bool, wanted: str = "auto") -> list[Finding]:
    """Args:
    facts: as `core.stack.inspection.inspect` answers them.
    gpu: whether this machine has one.
    wanted: VOICESKETCH_DEVICE.
    """
    versions, devices = facts["versions"], facts["devices"]
    torch, audio = versions.get("torch"), versions.get("torchaudio")
    if torch is None:
        return []  # a machine of a dashboard
    found = []
    if audio is not None and _minor(torch) != _minor(audio):
        says = f"torch {torch} and torchaudio {audio} do not go together: importing them fails, or crashes later."
        do = f"Install the pair of requirements.lock: pip install torch=={torch.split('+')[0]} torchaudio==…"
        found.append(
            Finding("torchaudio_mismatch", PART, says, do.replace("==…", f"=={torch.split('+')[0]}"))
        )
    if (
        devices.get("problem")
        or devices.get("cuda")
        or wanted == "cpu"
        or not (gpu or wanted.startswith("cuda"))
    ):
        return found
    built_for = devices.get("built_for")
    if built_for is None:
        says = f"There is a GPU, but torch {torch} was built without CUDA: everything runs on the CPU."
        do = "Install the wheel of torch with CUDA, as requirements.lock names it; +cpu wheels have none."
        found.append(Finding("torch_without_cuda", PART, says, do))
    elif gpu:
        why = devices.get("said") or "it does not say why"
        says = f"There is a GPU, but torch, built for CUDA {built_for}, cannot use it: {why}."
        do = "Mostly the driver is too old: upgrade it, or see that the container is given the device (nvidia-smi)."
        found.append(Finding("driver_too_old", PART, says, do))
    else:
        says = f"VOICESKETCH_DEVICE is {wanted}, and this machine has no GPU."
        found.append(Finding("no_gpu", PART, says, "Set VOICESKETCH_DEVICE=auto, or give the worker a GPU."))
    return found


def _minor(version: str) -> list[str]:
    return version.split("+")[0].split(".")[:2]
