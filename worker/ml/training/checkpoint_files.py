"""One checkpoint as one file: tensors and what is known of the training, in the safetensors format.

The file is written under another name, forced to the disk and renamed, so a name that is there was whole. A SHA-256 of
everything else in the file lies in its header, so what a disk or a copy did to it afterwards is found as well.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

FORMAT = 1
_UNKNOWN = "0" * 64
_AT_ONCE = 1 << 22
_KINDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class DamagedCheckpoint(Exception):
    """The file is cut off, was changed, or is no checkpoint of ours."""


def write_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint whole or not at all.

    Args:
        state: what JSON can hold.

    Raises:
        OSError: such as no room on the disk; nothing is left then.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            _write(file, tensors, state)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and state.

    Raises:
        DamagedCheckpoint: see there.
        FileNotFoundError: there is none.
    """
    state = read_state(path, check=True)
    try:
        return load_file(path), state
    except SafetensorError as failure:
        raise DamagedCheckpoint(f"{path.name} is not a checkpoint") from failure


def read_state(path: Path, *, check: bool = False) -> dict[str, Any]:
    """What is known of the training, without its tensors.

    Args:
        check: whether every byte of the file is checked.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            values = json.loads(header)["__metadata__"]
            if check and _digest_of_rest(file, header, values["sha256"]) != values["sha256"]:
                raise DamagedCheckpoint(f"{path.name} does not have the checksum that it was written with")
            state: dict[str, Any] = json.loads(values["state"])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, struct.error) as failure:
        raise DamagedCheckpoint(f"{path.name} is cut off or is not a checkpoint") from failure
    if state.get("format") != FORMAT:
        raise DamagedCheckpoint(f"{path.name} is of format {state.get('format')}, and {FORMAT} is read here")
    return state


def sync_folder(folder: Path) -> None:
    """Make sure that names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as failure:
        if failure.errno != errno.EINVAL:  # some file systems cannot do this with folders
            raise
    finally:
        os.close(descriptor)


def _write(file: IO[bytes], tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
    index: dict[str, Any] = {}
    offset = 0
    # Large elements first, as readers want every tensor to begin at a multiple of its element.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    for name in order:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        index[name] = {
            "dtype": _KINDS[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps({"format": FORMAT, **state})
    metadata = {"sha256": _UNKNOWN, "state": text}
    header = json.dumps({"__metadata__": metadata, **index}).encode()
    header += b" " * (-len(header) % 8)
    digest = hashlib.sha256(header)
    file.write(struct.pack("<Q", len(header)) + header)
    for name in order:
        content = memoryview(
            tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()  # type: ignore[arg-type]
        )
        for first in range(0, len(content), _AT_ONCE):
            piece = content[first : first + _AT_ONCE]
            digest.update(piece)
            file.write(piece)
    file.seek(8 + header.index(_UNKNOWN.encode()))
    file.write(digest.hexdigest().encode())


def _read_header(file: IO[bytes]) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > os.fstat(file.fileno()).st_size:
        raise ValueError("the header is cut off")
    header = file.read(length)
    if len(header) != length:
        raise ValueError("the header is cut off")
    return header


def _digest_of_rest(file: IO[bytes], header: bytes, expected: str) -> str:
    digest = hashlib.sha256(header.replace(expected.encode(), _UNKNOWN.encode(), 1))
    while piece := file.read(_AT_ONCE):
        digest.update(piece)
    return digest.hexdigest()
