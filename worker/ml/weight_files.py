"""Weights on disk: a safetensors file that its configuration vouches for by SHA-256.

Safetensors holds numbers and nothing that could run. A file that is damaged, belongs to another model or holds values
that are no numbers is refused before anything is drawn with it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from worker.ml.errors import ModelError
from worker.ml.model_folders import CONFIG_FILE, WEIGHTS_FILE

_HASH_AT_ONCE = 1 << 22
_OF_SYSTEM = re.compile(r"\(os error (\d+)\)")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASH_AT_ONCE):
            digest.update(piece)
    return digest.hexdigest()


def read_tensors(folder: Path, expected_sha256: str) -> dict[str, torch.Tensor]:
    """The weights of a folder, widened to float32.

    Raises:
        ModelError: `model_not_found`, or `checkpoint_mismatch` for a file other than the expected one.
    """
    path = folder / WEIGHTS_FILE
    try:
        found = file_sha256(path)
    except OSError as failure:
        raise ModelError(
            "model_not_found", f"There is no {WEIGHTS_FILE} in {folder}. Copy the model folder again."
        ) from failure
    if found != expected_sha256:
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} has SHA-256 {found[:12]}…, but {CONFIG_FILE} expects {expected_sha256[:12] or 'none'}…. "
            "The file is damaged or belongs to another model; copy the whole folder again.",
        )
    try:
        tensors = {name: _widened(tensor) for name, tensor in load_file(path).items()}
    except SafetensorError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is not a safetensors file. Copy the model again."
        ) from failure
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} holds values that are not numbers, in {broken[0]}. Train it again.",
        )
    return tensors


def write_tensors(folder: Path, tensors: Mapping[str, torch.Tensor]) -> str:
    """Writes the weights file whole or not at all; answers its SHA-256.

    Raises:
        OSError: such as no room on the disk; nothing is left then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{WEIGHTS_FILE}.part"
    contents = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    try:
        save_file(contents, unfinished)
        sha256 = file_sha256(unfinished)
        unfinished.replace(folder / WEIGHTS_FILE)
    except BaseException as failure:
        unfinished.unlink(missing_ok=True)
        # Safetensors has an exception of its own for whatever the system refuses, with the number in its sentence.
        number = _OF_SYSTEM.search(str(failure)) if isinstance(failure, SafetensorError) else None
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(unfinished)) from failure
    return sha256


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
