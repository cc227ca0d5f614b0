"""Arrays that somebody made before, read without trust: right name, right shape, numbers only, nothing unpickled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from worker.ml.errors import ArrayError

Array = npt.NDArray[np.float32]

SUFFIX = ".npy"


def read_array(name: str, content: bytes, shapes: Sequence[tuple[int, ...]]) -> Array:
    """An array file of one of the shapes.

    Axes of length one in front do not count: `(1, 1024, 128)` is taken for `(1024, 128)`. The header is checked before
    anything is set aside for its numbers.

    Args:
        name: of the file; its suffix counts, in any case of letters.
        shapes: that are accepted.

    Returns:
        float32, finite, of one of `shapes`.

    Raises:
        ArrayError: `bad_array`.
    """
    if PurePosixPath(name).suffix.lower() != SUFFIX:
        raise _bad(f"It is not a {SUFFIX} file")
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        found, is_fortran, kind = read_header(file)
    except (ValueError, KeyError, EOFError, SyntaxError, TypeError) as failure:
        raise _bad("It is damaged, or was not written by NumPy") from failure
    shape = _accepted(found, shapes)
    if shape is None:
        wanted = " or ".join(str(one) for one in shapes)
        raise _bad(f"Its shape is {found}, and {wanted} is needed")
    if kind.kind != "f":
        raise _bad(f"It holds values of type {kind} instead of floating-point numbers")
    count = int(np.prod(shape))
    body = content[file.tell() :]
    if len(body) != count * kind.itemsize:
        raise _bad("It is cut off, or something follows its end")
    values = np.frombuffer(body, dtype=kind).reshape(found, order="F" if is_fortran else "C")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as that
        numbers = np.ascontiguousarray(values.reshape(shape), dtype=np.float32)
    if not np.isfinite(numbers).all():
        raise _bad("It holds values that are not numbers")
    return numbers


def _accepted(found: tuple[int, ...], shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    while found not in shapes and found and found[0] == 1:
        found = found[1:]
    return found if found in shapes else None


def _bad(what: str) -> ArrayError:
    return ArrayError("bad_array", f"{what}. Make the array again, or prepare from what it was made of.")
