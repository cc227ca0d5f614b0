"""Networks that measures look through: computed as published, filled from published files, absent without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from worker.evaluation.measure_weights import bring_in, load_measure, main
from worker.ml.errors import ModelError
from worker.ml.metrics.face_classifier import FaceClassifier, prepared_faces
from worker.ml.metrics.inception import Inception
from worker.ml.metrics.lpips import SCALE, SHIFT, Lpips

WIDTHS = (64, 192, 384, 256, 256)
SIDES, STRIDES, PADDINGS = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)


def published_files(folder: Path) -> tuple[Path, Path]:
    """Random weights under the names of torchvision's AlexNet and of the authors' heads."""
    torch.manual_seed(0)
    alexnet, before = {}, 3
    for layer, width, side in zip((0, 3, 6, 8, 10), WIDTHS, SIDES, strict=True):
        alexnet[f"features.{layer}.weight"] = (
            torch.randn(width, before, side, side) / (before * side**2) ** 0.5
        )
        alexnet[f"features.{layer}.bias"] = 0.1 * torch.randn(width)
        before = width
    alexnet["classifier.1.weight"] = torch.zeros(2, 2)  # is there, and is not wanted
    heads = {f"lin{number}.model.1.weight": torch.rand(1, width, 1, 1) for number, width in enumerate(WIDTHS)}
    torch.save(alexnet, folder / "alexnet.pth")
    torch.save(heads, folder / "alex.pth")
    return folder / "alexnet.pth", folder / "alex.pth"


def lpips_by_hand(alexnet: dict, heads: dict, first: np.ndarray, second: np.ndarray) -> float:
    """One pair, layer after layer, in double precision."""
    features: list[list[torch.Tensor]] = []
    for picture in (first, second):
        values = torch.from_numpy(picture).double().permute(2, 0, 1)[None] / 127.5 - 1
        values = (values - torch.tensor(SHIFT).double().view(1, 3, 1, 1)) / torch.tensor(SCALE).double().view(
            1, 3, 1, 1
        )
        features.append([])
        for number, layer in enumerate((0, 3, 6, 8, 10)):
            if number in (1, 2):
                values = F.max_pool2d(values, 3, 2)
            weight, bias = (alexnet[f"features.{layer}.{kind}"].double() for kind in ("weight", "bias"))
            values = F.conv2d(values, weight, bias, STRIDES[number], PADDINGS[number]).relu()
            features[-1].append(values)
    total = 0.0
    for number, (ours, theirs) in enumerate(zip(*features, strict=True)):
        weight = heads[f"lin{number}.model.1.weight"].double().flatten()
        _, _, height, width = ours.shape
        for y in range(height):
            for x in range(width):
                a, b = ours[0, :, y, x], theirs[0, :, y, x]
                difference = (a / (a.norm() + 1e-10) - b / (b.norm() + 1e-10)) ** 2
                total += float((weight * difference).sum()) / (height * width)
    return total


def test_lpips_reads_the_published_files_and_computes_as_by_hand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alexnet, heads = published_files(tmp_path)
    arguments = [
        "--folder",
        str(tmp_path / "measures"),
        "lpips",
        "--alexnet",
        str(alexnet),
        "--heads",
        str(heads),
    ]
    assert main(arguments) == 0
    assert str(tmp_path / "measures" / "lpips") in capsys.readouterr().out
    network = load_measure(Lpips, "lpips", tmp_path / "measures")
    assert network is not None
    faces = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    wanted = lpips_by_hand(torch.load(alexnet), torch.load(heads), faces[0], faces[1])
    assert network.distances(faces[:1], faces[1:]) == pytest.approx([wanted], rel=1e-4)
    assert network.distances(faces, faces) == pytest.approx([0, 0])
    with pytest.raises(ValueError, match="63 pixels"):
        network.distances(faces[:, :32, :32], faces[:, :32, :32])


def test_wrong_files_are_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alexnet, heads = published_files(tmp_path)
    assert (
        main(["--folder", str(tmp_path / "m"), "lpips", "--alexnet", str(heads), "--heads", str(alexnet)])
        == 2
    )
    assert "features.0.weight" in capsys.readouterr().err
    assert main(["--folder", str(tmp_path / "m"), "inception", "--weights", str(alexnet)]) == 2
    assert "another network" in capsys.readouterr().err
    assert load_measure(Inception, "inception", tmp_path / "m") is None


def test_damaged_weights_are_noticed(tmp_path: Path) -> None:
    bring_in("lpips", Lpips().state_dict(), tmp_path)
    file = tmp_path / "lpips" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_measure(Lpips, "lpips", tmp_path)


def test_inception_has_the_size_and_the_names_of_the_published_one() -> None:
    network = Inception()
    state = network.state_dict()
    # Torchvision's Inception-v3 without its head and its auxiliary classifier: 21,785,568 parameters.
    assert sum(parameter.numel() for parameter in network.parameters()) == 21_785_568
    assert state["Mixed_6b.branch7x7dbl_3.conv.weight"].shape == (128, 128, 1, 7)
    assert state["Mixed_6e.branch7x7_3.conv.weight"].shape == (192, 192, 7, 1)
    assert state["Mixed_7b.branch3x3_2a.conv.weight"].shape == (384, 384, 1, 3)
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert state["Mixed_5b.branch_pool.bn.running_var"].shape == (32,)
    faces = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    found = network.features(faces)
    assert found.shape == (1, 2048) and np.isfinite(found).all() and (found >= 0).all()


def test_averages_within_inception_do_not_count_the_padding_and_the_last_block_takes_maxima() -> None:
    network, values = Inception(), torch.ones(1, 192, 5, 5)
    assert network.get_submodule("Mixed_5b")._pooled(values).min() == 1
    ramp = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert network.get_submodule("Mixed_7c")._pooled(ramp)[0, 0, 0, 0] == 6
    assert network.get_submodule("Mixed_7b")._pooled(ramp)[0, 0, 0, 0] == 3


def test_the_classifier_gets_its_channels_in_either_order() -> None:
    faces = np.zeros((1, 224, 224, 3), dtype=np.uint8)
    faces[..., 0] = 200  # red
    ours, theirs = prepared_faces(faces, "bgr"), prepared_faces(faces, "sf2f")
    assert ours[0, :, 5, 5].tolist() == pytest.approx([-91.4953, -103.8827, 200 - 131.0912], rel=1e-5)
    assert torch.equal(ours.flip(1), theirs)


def test_the_classifier_answers_probabilities_and_has_the_published_layout() -> None:
    torch.manual_seed(0)
    small = FaceClassifier(classes=7, width=8, depths=(1, 1, 1, 1))
    faces = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype(np.uint8)
    logs = small.log_probabilities(faces)
    assert np.exp(logs).sum(axis=1) == pytest.approx([1, 1])
    assert (logs != small.log_probabilities(faces, "sf2f")).any()
    with torch.device("meta"):
        whole = FaceClassifier()
    # ResNet-50 with 8,631 classes.
    assert sum(one.numel() for one in whole.parameters()) == 23_508_032 + 2048 * 8631 + 8631
    assert whole.get_submodule("layer2.0.conv1").stride == (2, 2)
    assert whole.get_submodule("layer2.0.conv2").stride == (1, 1)
