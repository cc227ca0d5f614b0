"""Read networks out of ONNX files, as far as one recogniser of faces needs it.

The file is protocol buffers: fields of a number, a kind and a value, read here straight from the published message
numbers (onnx.proto3, IR version 4 and later), so that no further library is needed to look at weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker.ml.errors import ModelError

Array = npt.NDArray[np.generic]
Field = tuple[int, int | bytes]
_TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
# Kinds of values in protocol buffers.
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
# Numbers of the fields that are read, of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_TENSOR = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_FLOAT, _ATTRIBUTE_WHOLE, _ATTRIBUTE_LIST = 1, 2, 3, 8
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 4, 8, 9
_TENSOR_INTEGERS, _TENSOR_LONGS = 5, 7


@dataclass(frozen=True)
class Node:
    """One operation. Attributes that are neither numbers nor lists of whole numbers are left out."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, float | int | tuple[int, ...]]


@dataclass(frozen=True)
class Graph:
    """Operations in the order in which they run, and weights by name."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Array]


def read_onnx(path: Path) -> Graph:
    """Read the graph of a file.

    Raises:
        ModelError: `model_not_found`, or `checkpoint_mismatch` where it is no such file.
    """
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise ModelError("model_not_found", f"There is no network in {path}.") from failure
    try:
        graph = next(_bytes(value) for number, value in _fields(content) if number == _MODEL_GRAPH)
        parts = list(_fields(graph))
        nodes = tuple(_node(_bytes(value)) for number, value in parts if number == _GRAPH_NODE)
        tensors = dict(_tensor(_bytes(value)) for number, value in parts if number == _GRAPH_TENSOR)
    except (ValueError, KeyError, IndexError, StopIteration) as failure:
        raise ModelError("checkpoint_mismatch", f"{path} is not an ONNX file as expected here.") from failure
    return Graph(nodes, tensors)


def _node(content: bytes) -> Node:
    fields = list(_fields(content))
    texts = {
        wanted: tuple(_text(value) for number, value in fields if number == wanted)
        for wanted in (_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND)
    }
    found = [_attribute(_bytes(value)) for number, value in fields if number == _NODE_ATTRIBUTE]
    attributes = {name: value for name, value in found if value is not None}
    return Node(texts[_NODE_KIND][0], texts[_NODE_INPUT], texts[_NODE_OUTPUT], attributes)


def _attribute(content: bytes) -> tuple[str, float | int | tuple[int, ...] | None]:
    name, value, several = "", None, list[int]()
    for number, read in _fields(content):
        if number == _ATTRIBUTE_NAME:
            name = _text(read)
        elif number == _ATTRIBUTE_FLOAT:
            value = float(np.frombuffer(_bytes(read), "<f4")[0])
        elif number == _ATTRIBUTE_WHOLE:
            value = _whole(read)
        elif number == _ATTRIBUTE_LIST:
            several += _wholes(read)
    return name, tuple(several) if several else value


def _tensor(content: bytes) -> tuple[str, Array]:
    shape, kind, name, flat = list[int](), 0, "", None
    parts: dict[int, list[int | bytes]] = {}
    for number, read in _fields(content):
        parts.setdefault(number, []).append(read)
    for read in parts.get(_TENSOR_SHAPE, []):
        shape += _wholes(read)
    kind = _whole(parts[_TENSOR_TYPE][0])
    name = _text(parts[_TENSOR_NAME][0])
    if _TENSOR_RAW in parts:
        flat = np.frombuffer(_bytes(parts[_TENSOR_RAW][0]), np.dtype(_TYPES[kind]).newbyteorder("<"))
    elif _TENSOR_FLOATS in parts:
        flat = np.frombuffer(b"".join(_bytes(read) for read in parts[_TENSOR_FLOATS]), "<f4")
    else:
        listed = parts.get(_TENSOR_INTEGERS, []) + parts.get(_TENSOR_LONGS, [])
        flat = np.array([number for read in listed for number in _wholes(read)], np.int64)
    return name, flat.astype(_TYPES[kind]).reshape(shape)


def _fields(content: bytes) -> Iterator[Field]:
    """Number and value of each field: a whole number, or bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _LENGTH:
            length, at = _varint(content, at)
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            length = 4 if kind == _FOUR_BYTES else 8
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at + length > len(content):
            raise ValueError("a field goes on beyond the end")
        yield number, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _wholes(read: int | bytes) -> list[int]:
    """One number, or several packed together."""
    if isinstance(read, int):
        return [read]
    numbers, at = [], 0
    while at < len(read):
        number, at = _varint(read, at)
        numbers.append(number)
    return numbers


def _whole(read: int | bytes) -> int:
    if not isinstance(read, int):
        raise ValueError("bytes in place of a number")
    return read


def _bytes(read: int | bytes) -> bytes:
    if not isinstance(read, bytes):
        raise ValueError("a number in place of bytes")
    return read


def _text(read: int | bytes) -> str:
    return _bytes(read).decode()
