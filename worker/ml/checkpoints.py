"""Reading checkpoints of other projects: strangers' files, of which nothing but numbers is taken.

A PyTorch checkpoint is a pickle, and a pickle is a program. Here it is read by PyTorch's restricted reader, which runs
nothing, and what it then holds is distrusted too: names, kinds of numbers, sizes and values are checked before a
network sees them. `worker/import_weights.py` does all of this in a process of its own, with limits.
"""

from __future__ import annotations

import pickle
import re
import stat
import warnings
import zipfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from worker.ml.errors import ModelError

State = dict[str, torch.Tensor]

MAX_FILE_BYTES = 8 * 2**30
# The largest network here has 0.6 GB of weights; whoever brings five times that brings something else.
MAX_WEIGHTS_BYTES = 3 * 2**30

# What training programs put a state dict into, beside the epoch and the state of the optimiser.
_WRAPPERS = ("model_state_dict", "state_dict")
# Put before every name by what a network was wrapped in while it was trained.
_PREFIXES = ("module.", "_orig_mod.")
_COUNTER = "num_batches_tracked"  # the only whole numbers in these networks
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Format(StrEnum):
    """What a file is, told by its first bytes: endings are whatever somebody typed."""

    TORCH = "PyTorch checkpoint"
    TORCH_BEFORE_1_6 = "PyTorch checkpoint of before 1.6"
    TAR = "PyTorch checkpoint of before 0.1.10"
    SAFETENSORS = "safetensors file"
    HDF5 = "HDF5 file"


def refuse(sentence: str) -> NoReturn:
    """Raises the error that every unusable file ends in."""
    raise ModelError("checkpoint_mismatch", sentence)


def shown(name: object) -> str:
    """A name from a stranger's file, short and on one line."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:77]}…'"


def check_file(path: Path) -> None:
    """Looks at the file from outside.

    Raises:
        ModelError: `model_not_found`, or `checkpoint_mismatch` for what is no file, empty or too large.
    """
    try:
        found = path.stat()
    except OSError as failure:
        reason = failure.strerror or "it cannot be read"
        raise ModelError(
            "model_not_found", f"{path} cannot be read: {reason.lower()}. Check the path."
        ) from failure
    if stat.S_ISDIR(found.st_mode):
        refuse(f"{path} is a folder. Give the checkpoint file itself.")
    if not stat.S_ISREG(found.st_mode):
        refuse(f"{path} is no ordinary file. Copy its content into one first.")
    if found.st_size == 0:
        refuse(f"{path} is empty. Copy or download it again.")
    if found.st_size > MAX_FILE_BYTES:
        refuse(
            f"{path} has {found.st_size / 2**30:.1f} GiB; files above {MAX_FILE_BYTES / 2**30:.0f} GiB "
            "are not read. Save the weights without the state of the optimiser."
        )


def format_of(path: Path) -> Format:
    """What the first bytes say.

    Raises:
        ModelError: as `check_file`, and `checkpoint_mismatch` for bytes that no checkpoint begins with.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as failure:
        raise ModelError(
            "model_not_found", f"{path} cannot be read: {(failure.strerror or '').lower()}. Check its rights."
        ) from failure
    if head.startswith(b"PK\x03\x04"):
        return Format.TORCH
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Format.HDF5
    if head[257:262] == b"ustar":
        return Format.TAR
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Format.TORCH_BEFORE_1_6
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 * 2**20:
        return Format.SAFETENSORS
    return refuse(
        f"{path} is no checkpoint: it begins like neither a PyTorch nor a safetensors nor an HDF5 file. "
        "Check that it is the right file and was downloaded whole."
    )


def read_checkpoint(path: Path) -> State:
    """The weights in a `.pt`, `.pth`, `.bin` or `.safetensors` file, whatever it is called.

    Takes a state dict that is bare or lies under `model_state_dict` beside other things, which are dropped.

    Returns:
        Name to tensor, in the order of the file: floating-point numbers of the file's own precision, all finite, on the
        CPU, and the counters of batch normalisation. Large ones may be mapped from the file, which must stay as it is.

    Raises:
        ModelError: with one sentence on what is wrong with the file.
    """
    kind = format_of(path)
    if kind is Format.SAFETENSORS:
        state: Mapping[Any, Any] = _read_safetensors(path)
    elif kind is Format.TORCH:
        _check_archive(path)
        state = _state_in(path, _load(path, mapped=True))
    elif kind is Format.TORCH_BEFORE_1_6:
        state = _state_in(path, _load(path, mapped=False))
    elif kind is Format.TAR:
        refuse(
            f"{path} is in the tar format that PyTorch gave up in 2017, which can only be read by running what is in "
            "it. Load it with the program that wrote it, and save it again."
        )
    else:
        refuse(
            f"{path} is an HDF5 file, as Keras writes them. If it holds VGG-Face: voicesketch convert vggface"
        )
    return check_state(path, state)


def check_state(path: Path, state: Mapping[Any, Any]) -> State:
    """Makes sure that a state dict holds names and plain, finite floating-point numbers, and not too many.

    Raises:
        ModelError: `checkpoint_mismatch`, naming the first entry that is something else.
    """
    checked: State = {}
    total = 0
    for name, tensor in _without_prefix(state).items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            refuse(f"{path} holds {shown(name)} among its weights, which is no tensor. It is no state dict.")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            refuse(f"{shown(name)} in {path} is a sparse, quantised or empty tensor. Save plain numbers.")
        is_counter = name.rpartition(".")[2] == _COUNTER and tensor.dtype is torch.int64
        if tensor.dtype not in _FLOATS and not is_counter:
            kind = str(tensor.dtype).removeprefix("torch.")
            refuse(f"{shown(name)} in {path} has numbers of type {kind}; weights are floating-point numbers.")
        total += tensor.numel() * tensor.element_size()
        if total > MAX_WEIGHTS_BYTES:
            refuse(
                f"{path} holds more than {MAX_WEIGHTS_BYTES / 2**30:.0f} GiB of weights, "
                "several times as much as the largest network here. It is something else."
            )
        checked[name] = tensor.detach()
    if not checked:
        refuse(f"{path} holds no weights at all.")
    for name, tensor in checked.items():
        # Half of a large tensor's size is needed for the answer, so it is asked in pieces.
        if not all(bool(torch.isfinite(piece).all()) for piece in torch.split(tensor.reshape(-1), 1 << 24)):
            refuse(
                f"{shown(name)} in {path} holds values that are not numbers (NaN or infinite). "
                "Take an earlier checkpoint."
            )
    return checked


def _read_safetensors(path: Path) -> State:
    try:
        tensors: State = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as failure:
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} is a safetensors file that is damaged or cut short. Copy or download it again.",
        ) from failure
    return tensors


def _check_archive(path: Path) -> None:
    """PyTorch's own archives are stored, never compressed; it would take compressed entries for numbers."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is cut short or damaged. Copy or download it again."
        ) from failure
    if not any(entry.filename.rpartition("/")[2] == "data.pkl" for entry in entries):
        refuse(f"{path} is a zip archive, but no PyTorch checkpoint. Unpack it and give the file in it.")
    if any(entry.filename.rpartition("/")[2] == "constants.pkl" for entry in entries):
        refuse(
            f"{path} is a TorchScript program and not just weights. Save the network's state dict instead."
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        refuse(
            f"{path} was compressed, which PyTorch never does to a checkpoint. Save it with torch.save again."
        )
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        refuse(f"{path} says that it holds more than fits into it. It is damaged, or not meant well.")


def _load(path: Path, *, mapped: bool) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")  # of odd pickles and sparse tensors, which are refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as failure:
        if asked := re.search(r"[Uu]nsupported (?:global: )?GLOBAL ([\w.]+)", str(failure)):
            raise ModelError(
                "checkpoint_mismatch",
                f"{path} contains code (it asks for {asked[1][:80]}), and nothing of it was run. Ask for a file with "
                "weights only: a state dict, or better a safetensors file.",
            ) from failure
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} holds something other than weights, or is damaged; nothing of it was run. "
            "Copy or download it again.",
        ) from failure
    except MemoryError:
        raise
    except Exception as failure:  # a stranger's file may break the reader in any way it likes
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} is cut short or damaged, or no PyTorch checkpoint. Copy or download it again.",
        ) from failure


def _numpy_scalars() -> list[Any]:
    """Histories of losses are kept beside the weights, and an average that NumPy made is a NumPy number."""
    scalar: Any = np.array(0.0)[()].__reduce__()[0]
    types = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")] + [np.dtype, *types]


def _state_in(path: Path, loaded: object) -> Mapping[Any, Any]:
    if isinstance(loaded, Mapping):
        for wrapper in _WRAPPERS:
            if isinstance(inner := loaded.get(wrapper), Mapping):
                return inner
        if loaded and all(isinstance(value, torch.Tensor) for value in loaded.values()):
            return loaded
        held = ", ".join(shown(name) for name in list(loaded)[:4])
        refuse(
            f"{path} holds {held or 'nothing'}, but neither a state dict nor a model_state_dict with one in it."
        )
    return refuse(f"{path} holds a {type(loaded).__name__} and no state dict.")


def _without_prefix(state: Mapping[Any, Any]) -> Mapping[Any, Any]:
    for prefix in _PREFIXES:
        if state and all(isinstance(name, str) and name.startswith(prefix) for name in state):
            return _without_prefix({name.removeprefix(prefix): value for name, value in state.items()})
    return state
