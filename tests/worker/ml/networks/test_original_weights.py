"""Checkpoints of others become networks of ours, or are refused in one sentence that names what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tests.worker.ml.networks.recordings import voice
from worker.ml.errors import ModelError
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder, ASTVoiceEncoderConfig
from worker.ml.networks.face_decoder import FaceDecoderConfig
from worker.ml.networks.original_weights import KINDS, default_config, network_from_original
from worker.ml.networks.ve_conv import VEConv, VEConvConfig
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig

VE_CONV = VEConvConfig(
    seconds=1.0,
    fft_samples=128,
    window_samples=128,
    widths=(4, 6),
    strides=(1, 2),
    pooled=(True, False),
    hidden_length=16,
    embedding_length=12,
)
AST = ASTVoiceEncoderConfig(
    seconds=1.0, frames=64, mel_bands=32, width=16, depth=2, heads=2, mlp_width=32, embedding_length=12
)
DECODER = FaceDecoderConfig(
    embedding_length=12, shared_lengths=(16, 10), landmark_lengths=(8,), texture_side=4, texture_widths=(6, 5)
)
FACE = VGGFaceConfig(image_size=16, widths=(4, 6), depths=(1, 2), embedding_length=12, classes=5)

# Of transformers before its release 5; the rules go the other way round in the code.
OLDER = (
    (r"\.layers\.(\d+)\.", r".encoder.layer.\1."),
    (r"attention\.q_proj", "attention.attention.query"),
    (r"attention\.k_proj", "attention.attention.key"),
    (r"attention\.v_proj", "attention.attention.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
)

State = dict[str, Any]


def older(key: str) -> str:
    for newer, before in OLDER:
        key = re.sub(newer, before, key)
    return key


def ve_conv_state() -> State:
    torch.manual_seed(0)
    return {key.removeprefix("layers."): value for key, value in VEConv(VE_CONV).state_dict().items()}


def ast_network() -> ASTVoiceEncoder:
    torch.manual_seed(0)
    return ASTVoiceEncoder(AST).eval()


def refusal(kind: str, state: State, config: Any) -> str:
    with pytest.raises(ModelError) as caught:
        network_from_original(kind, state, config=config)
    assert caught.value.code == "checkpoint_mismatch"
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_becomes_a_network_at_rest(prefix: str) -> None:
    state = ve_conv_state()
    network = network_from_original(
        "ve_conv", {prefix + key: value for key, value in state.items()}, config=VE_CONV
    )
    assert isinstance(network, VEConv) and not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key.removeprefix("layers.")])
    assert network.identity.version == "ve_conv@1"


def test_half_precision_is_widened() -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in ve_conv_state().items()}
    network = network_from_original("ve_conv", state, config=VE_CONV)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("rename", [lambda key: key, older], ids=["transformers 5", "transformers 4"])
@pytest.mark.parametrize("head", ["classifier.", "classifier.0."], ids=["plain", "in a sequence"])
def test_an_ast_comes_from_either_release_of_transformers(rename: Any, head: str) -> None:
    theirs = ast_network()
    state = {rename(key).replace("classifier.", head): value for key, value in theirs.state_dict().items()}
    if rename is older:
        assert "audio_spectrogram_transformer.encoder.layer.1.attention.attention.query.weight" in state
        assert "audio_spectrogram_transformer.encoder.layer.0.output.dense.bias" in state
    ours = network_from_original("ast", state, config=AST)
    recordings = [voice(1.0, 0)]
    assert isinstance(ours, ASTVoiceEncoder)
    assert torch.equal(ours.encode(recordings), theirs.encode(recordings))


def test_the_head_of_other_classes_is_replaced_only_when_asked() -> None:
    state = ast_network().state_dict()
    state["classifier.dense.weight"] = torch.zeros(527, AST.width)
    state["classifier.dense.bias"] = torch.ones(527)
    state["classifier.layernorm.weight"] = torch.full((AST.width,), 3.0)
    message = refusal("ast", state, AST)
    assert "classifier.dense.weight" in message and "[527, 16]" in message and "[12, 16]" in message
    network = network_from_original("ast", state, config=AST, fresh_head=True)
    assert isinstance(network, ASTVoiceEncoder)
    assert float(network.classifier.dense.weight.std()) == pytest.approx(0.02, rel=0.2)
    assert not network.classifier.dense.bias.any()
    assert (network.classifier.layernorm.weight == 3).all()


@pytest.mark.parametrize("variant", ["serengil", "rcmalli"])
def test_both_vgg_faces_come_out_alike_from_their_own_names(variant: str) -> None:
    torch.manual_seed(0)
    ours = VGGFace(FACE).state_dict()
    names = ["body.conv1_1", "body.conv2_1", "body.conv2_2", "fc6", "fc7", "fc8"]
    places = [1, 1, 1, 0, 0, 1] if variant == "serengil" else [0, 0, 0, 1, 0, 0]
    state: State = {}
    for layer, (name, place) in enumerate(zip(names, places, strict=True), start=1):
        weight = ours[f"{name}.weight"]
        if variant == "serengil" and layer > 3:  # convolutions there
            side = 4 if name == "fc6" else 1
            weight = weight.reshape(len(weight), -1, side, side)
        state[f"layer{layer}.{place}.weight"] = weight
        state[f"layer{layer}.{place}.bias"] = ours[f"{name}.bias"]
    config = VGGFaceConfig(**{**FACE.__dict__, "variant": variant})
    network = network_from_original(f"vggface_{variant}", state, config=config)
    assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())


def test_the_first_missing_tensor_is_named_as_the_checkpoint_would() -> None:
    state = ve_conv_state()
    del state["layer2.0.weight"]
    assert "layer2.0.weight is missing" in refusal("ve_conv", state, VE_CONV)
    assert "layer1.1.weight is missing" in refusal("vggface_serengil", {}, FACE)


def test_a_tensor_too_many_is_named() -> None:
    state = ve_conv_state() | {"layer9.0.weight": torch.zeros(1)}
    assert "no place for the tensor layer9.0.weight" in refusal("ve_conv", state, VE_CONV)


def test_a_tensor_of_another_shape_is_named() -> None:
    state = ve_conv_state() | {"layer1.0.bias": torch.zeros(3)}
    assert "layer1.0.bias is [3] and should be [4]" in refusal("ve_conv", state, VE_CONV)


def test_the_same_tensor_twice_is_refused() -> None:
    state = ve_conv_state()
    state["module.layer1.0.bias"] = state["layer1.0.bias"]
    assert "are the same one" in refusal("ve_conv", state, VE_CONV)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    state = ve_conv_state()
    state["layer3.1.bias"] = state["layer3.1.bias"].clone()
    state["layer3.1.bias"][5] = value
    assert "layer3.1.bias holds values that are not numbers" in refusal("ve_conv", state, VE_CONV)


@pytest.mark.parametrize("thing", [3, "text", None, [1.0]])
def test_what_is_no_tensor_is_refused(thing: Any) -> None:
    assert "layer1.0.bias is no tensor" in refusal(
        "ve_conv", ve_conv_state() | {"layer1.0.bias": thing}, VE_CONV
    )


def test_whole_numbers_for_weights_are_refused() -> None:
    state = ve_conv_state() | {"layer1.0.bias": torch.zeros(4, dtype=torch.int64)}
    assert "torch.int64" in refusal("ve_conv", state, VE_CONV)


def test_the_checkpoint_of_another_network_is_refused() -> None:
    assert "This is not a checkpoint of face_decoder" in refusal("face_decoder", ve_conv_state(), DECODER)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="no kind of checkpoint called 'resnet'"):
        network_from_original("resnet", {})


def test_what_the_original_trained_pairs_only_with_its_own_recipe() -> None:
    spaces = {kind: default_config(kind).embedding_space for kind in KINDS}
    assert spaces["ve_conv"] == spaces["ast"] == spaces["face_decoder"]
    assert spaces["ve_conv"] == default_config("vggface_serengil", compat="original").embedding_space
    assert spaces["ve_conv"] != spaces["vggface_serengil"] != spaces["vggface_rcmalli"]
