"""Arrays made elsewhere are taken by name, shape and values, or refused in a sentence; nothing in them is ever run."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest

from worker.ml.errors import ArrayError
from worker.ml.preparation.arrays import read_array

EMBEDDING = [(4096,)]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def why_not(name: str, content: bytes, shapes: list[tuple[int, ...]]) -> str:
    with pytest.raises(ArrayError) as caught:
        read_array(name, content, shapes)
    assert caught.value.code == "bad_array"
    assert caught.value.message.endswith(".")
    return caught.value.message


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_an_array_of_the_right_shape_is_taken_as_float32(kind: str) -> None:
    values = np.linspace(-2, 2, 4096)
    array = read_array("a/b_embedding.NPY", npy(values.astype(kind)), EMBEDDING)
    assert array.dtype == np.float32 and array.shape == (4096,)
    assert np.abs(array - values).max() < 2e-3


def test_axes_of_length_one_in_front_do_not_count() -> None:
    features = np.random.default_rng(0).normal(size=(1, 1024, 128)).astype(np.float32)
    assert (read_array("x.npy", npy(features), [(2, 257, 601), (1024, 128)]) == features[0]).all()


def test_an_array_kept_column_by_column_is_read_row_by_row() -> None:
    values = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    array = read_array("x.npy", npy(values), [(3, 4)])
    assert (array == values).all() and array.flags.c_contiguous


def test_landmarks_are_not_taken_for_an_embedding() -> None:
    assert "(144,)" in why_not("face_landmarks.npy", npy(np.zeros(144, np.float32)), EMBEDDING)


def test_the_suffix_counts_whatever_is_inside() -> None:
    assert ".npy" in why_not("face.jpg", npy(np.zeros(4096, np.float32)), EMBEDDING)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    values = np.zeros(4096)
    values[77] = bad
    assert "not numbers" in why_not("x.npy", npy(values), EMBEDDING)


@pytest.mark.parametrize("kind", ["int64", "bool", "complex64", "U3"])
def test_other_types_are_refused(kind: str) -> None:
    assert "floating-point" in why_not("x.npy", npy(np.zeros(4096).astype(kind)), EMBEDDING)


class Trap:
    """Raises when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code in a file was run')",))


def test_code_in_an_array_is_never_run() -> None:
    objects = np.empty(4096, dtype=object)
    objects[0] = Trap()
    why_not("x.npy", npy(objects), EMBEDDING)
    why_not("x.npy", pickle.dumps(Trap()), EMBEDDING)


def test_a_header_that_claims_too_much_sets_nothing_aside() -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 10**5)}
    )
    assert "needed" in why_not("x.npy", header.getvalue(), EMBEDDING)


@pytest.mark.parametrize("keep", [0, 5, 9, 60, 127, 128, 1000, -1])
def test_a_file_that_is_cut_off_is_refused(keep: int) -> None:
    why_not("x.npy", npy(np.zeros(4096, np.float32))[:keep], EMBEDDING)


def test_something_after_the_end_is_refused() -> None:
    why_not("x.npy", npy(np.zeros(4096, np.float32)) + b"more", EMBEDDING)
