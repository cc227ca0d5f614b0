"""Audio spectrogram transformers of other people, in the forms they are kept in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.worker.hugging_face import BANDS, FRAMES, write_ast
from worker.ml.ast_checkpoints import read_ast
from worker.ml.errors import ModelError
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder
from worker.ml.networks.original_weights import network_from_original

if TYPE_CHECKING:
    from transformers import ASTForAudioClassification


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ASTForAudioClassification]:
    folder = tmp_path_factory.mktemp("ast")
    return folder, write_ast(folder)


@pytest.fixture
def folder(theirs: tuple[Path, ASTForAudioClassification], tmp_path: Path) -> Path:
    """A copy to break."""
    copy = tmp_path / "ast"
    copy.mkdir()
    for file in theirs[0].iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def ours(path: Path, *, new_head: bool = False) -> ASTVoiceEncoder:
    state, config = read_ast(path, new_head=new_head)
    network = network_from_original("ast", state, config=config, fresh_head=new_head)
    assert isinstance(network, ASTVoiceEncoder)
    return network


def refusal(path: Path, *, new_head: bool = False) -> str:
    with pytest.raises(ModelError) as caught:
        read_ast(path, new_head=new_head)
    assert "\n" not in caught.value.message
    return caught.value.message


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_becomes_a_network_that_computes_the_same(
    theirs: tuple[Path, ASTForAudioClassification],
) -> None:
    folder, network = theirs
    features = torch.randn(2, FRAMES, BANDS, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(features).logits.relu()
        found = ours(folder)(features)
    assert expected.count_nonzero() > 1000
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_folder_brings_its_sizes_and_the_features_it_was_trained_with(folder: Path) -> None:
    change(folder / "preprocessor_config.json", mean=-3.5, std=2.25)
    _, config = read_ast(folder, new_head=False)
    assert (config.width, config.depth, config.heads, config.mlp_width) == (16, 2, 2, 32)
    assert (config.frames, config.mel_bands, config.mean, config.std) == (FRAMES, BANDS, -3.5, 2.25)


def test_older_folders_with_a_pickle_are_read_too(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert ours(folder).embedding_length == 4096


def test_a_head_for_classes_needs_a_new_one(tmp_path: Path) -> None:
    write_ast(tmp_path, classes=527)
    sentence = refusal(tmp_path)
    assert "tells 527 classes apart" in sentence and "--new-head" in sentence
    network = ours(tmp_path, new_head=True)
    weight = network.classifier.dense.weight
    assert weight.shape == (4096, 16)
    assert 0.015 < float(weight.std()) < 0.022
    assert not network.classifier.dense.bias.any()
    saved = load_file(tmp_path / "model.safetensors")
    assert torch.equal(network.classifier.layernorm.weight, saved["classifier.layernorm.weight"])


def test_a_transformer_without_any_head_needs_one(folder: Path) -> None:
    from transformers import ASTModel

    network = ASTModel.from_pretrained(folder)
    network.save_pretrained(folder)
    assert "has no head" in refusal(folder)
    assert ours(folder, new_head=True).classifier.layernorm.weight.eq(1).all()


def test_a_folder_without_its_files_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)
    (folder / "model.safetensors").unlink()
    assert "holds neither model.safetensors nor pytorch_model.bin" in refusal(folder)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "several pieces" in refusal(folder)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "bert"}, "type 'bert'"),
        ({"hidden_act": "relu"}, "hidden_act"),
        ({"frequency_stride": 16}, "strides"),
        ({"hidden_size": 1 << 40}, "no size"),
        ({"num_hidden_layers": "2"}, "no size"),
        ({"num_hidden_layers": 5000}, "no size"),
        ({"num_attention_heads": 3}, "do not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_network_is_refused(folder: Path, values: dict[str, Any], words: str) -> None:
    change(folder / "config.json", **values)
    assert words in refusal(folder)


@pytest.mark.parametrize(
    "values", [{"std": 0}, {"mean": "x"}, {"sampling_rate": 8000}, {"do_normalize": False}]
)
def test_features_of_another_kind_are_refused(folder: Path, values: dict[str, Any]) -> None:
    change(folder / "preprocessor_config.json", **values)
    assert "preprocessor_config.json" in refusal(folder)


def test_a_configuration_that_is_none_is_refused(folder: Path) -> None:
    for content in ("{", "[]", '"ast"', "[" * 100_000):
        (folder / "config.json").write_text(content)
        assert "config.json" in refusal(folder)


@pytest.mark.parametrize("damage", ["missing", "extra", "shape"])
def test_a_tensor_too_few_too_many_or_of_another_shape_is_named(folder: Path, damage: str) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "audio_spectrogram_transformer.encoder.layer.1.intermediate.dense.weight"
    if damage == "missing":
        del weights[name]
        expected = "audio_spectrogram_transformer.layers.1.mlp.fc1.weight is missing"
    elif damage == "extra":
        weights["decoder.weight"] = torch.ones(1)
        expected = "no place for the tensor decoder.weight"
    else:
        weights[name] = weights[name][:, 1:].contiguous()
        expected = r"is \[32, 15\] and should be \[32, 16\]"
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=expected):
        ours(folder)


def test_another_networks_checkpoint_is_no_ast(tmp_path: Path) -> None:
    torch.save({"model_state_dict": {"layer1.0.weight": torch.ones(2)}}, tmp_path / "w.pt")
    assert "is no audio spectrogram transformer" in refusal(tmp_path / "w.pt")
