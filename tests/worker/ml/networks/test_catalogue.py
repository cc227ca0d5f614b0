"""Every kind of network is found by its name, built without plain lists of layers, and loaded on the asked device."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from worker.ml.errors import ModelError
from worker.ml.networks.catalogue import KINDS, decoder_kinds, encoder_kinds, load_network
from worker.ml.networks.initialisation import UnfilledWeights
from worker.ml.networks.pretrained import Decoder, Encoder, Network, config_from
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig

TINY = VGGFaceConfig(image_size=16, widths=(4, 6), depths=(1, 2), embedding_length=12, classes=5)

every_kind = pytest.mark.parametrize("kind", KINDS)


def unfilled(kind: str) -> Network:
    network_class = KINDS[kind].network_class()
    with UnfilledWeights():
        return network_class(network_class.Config())


@every_kind
def test_a_kind_is_the_class_that_says_so(kind: str) -> None:
    network_class = KINDS[kind].network_class()
    assert network_class.kind == kind
    assert issubclass(network_class, Encoder) == (kind in encoder_kinds())
    assert issubclass(network_class, Decoder) == (kind in decoder_kinds())
    if issubclass(network_class, Encoder):
        assert KINDS[kind].role == f"{network_class.input}_encoder"


@every_kind
def test_no_layer_is_kept_in_a_plain_list(kind: str) -> None:
    def holds_modules(value: Any) -> bool:
        if isinstance(value, nn.Module):
            return True
        if isinstance(value, dict):
            value = list(value.values())
        return isinstance(value, (list, tuple, set)) and any(holds_modules(one) for one in value)

    for name, module in unfilled(kind).named_modules():
        registered = {"_modules", "_parameters", "_buffers"}
        plain = [key for key, value in vars(module).items() if key not in registered and holds_modules(value)]
        assert not plain, f"{name} keeps layers in {plain}"


@every_kind
def test_every_setting_survives_its_way_through_json(kind: str) -> None:
    config_class = KINDS[kind].network_class().Config
    config = config_class()
    assert config_from(config_class, json.loads(json.dumps(asdict(config)))) == config


def test_a_folder_says_which_network_it_holds(tmp_path: Path) -> None:
    VGGFace(TINY).save_pretrained(tmp_path / "face", name="judge", revision=3)
    network = load_network(tmp_path / "face", "cpu")
    assert isinstance(network, VGGFace)
    assert network.identity.version == "judge@3" and not network.training
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}


@pytest.mark.gpu
def test_what_was_saved_on_a_gpu_loads_without_one_and_back(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    VGGFace(TINY).to("cuda").save_pretrained(tmp_path / "face")
    for device in ("cpu", "cuda"):
        network = load_network(tmp_path / "face", device)
        assert {tensor.device.type for tensor in network.state_dict().values()} == {device}


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    VGGFace(TINY).save_pretrained(tmp_path / "face")
    with pytest.raises(ModelError) as caught:
        load_network(tmp_path / "face", "abacus")
    assert caught.value.code == "device_not_found"


@pytest.mark.parametrize("kind", ["resnet", 3, None, ["ve_conv"]])
def test_a_kind_nobody_knows_is_refused(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    with pytest.raises(ModelError, match="unknown kind") as caught:
        load_network(tmp_path, "cpu")
    assert caught.value.code == "checkpoint_mismatch"


def test_weights_from_files_are_not_drawn_at_random_first() -> None:
    before = torch.get_rng_state()
    with UnfilledWeights():
        network = VGGFace(TINY)
        nn.init.normal_(tensor=network.fc8.weight)
    assert torch.equal(torch.get_rng_state(), before)
    VGGFace(TINY)
    assert not torch.equal(torch.get_rng_state(), before)
