"""Whatever is handed over beside the processor is computed where the network is.

Machines that run tests have no GPU. Torch's device `meta` stands in for one: it computes shapes and no numbers, refuses
to mix its tensors with others, and says so when it is asked for the numbers at last.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from tests.worker.ml.small_networks import LENGTH, small_networks
from worker.ml.face_generator import FaceGenerator
from worker.ml.metrics.face_classifier import FaceClassifier
from worker.ml.metrics.inception import Inception
from worker.ml.metrics.lpips import Lpips
from worker.ml.model_files import ModelConfig
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder, ASTVoiceEncoderConfig
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.ge2e import GE2E, GE2EConfig
from worker.ml.networks.heads import VoiceHead, VoiceHeadConfig
from worker.ml.networks.pretrained import Decoder, Encoder
from worker.ml.speech_to_face import SpeechToFace

VOICES = [np.sin(np.arange(16_000 * seconds, dtype=np.float32)) for seconds in (1, 3)]
PICTURES = [np.zeros((40, 30, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)]
NO_NUMBERS = "Cannot copy out of meta tensor"


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in fewer bits are nothing that `meta` knows."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def encoders() -> dict[str, Encoder]:
    found = {name: one for name, one in small_networks().items() if isinstance(one, Encoder)}
    sizes = {"hidden": 8, "layers": 1, "embedding_length": LENGTH}
    found["ge2e"] = GE2E(GE2EConfig(**sizes))
    found["voice_head"] = VoiceHead(VoiceHeadConfig("ge2e", sizes, embedding_length=LENGTH))
    found["ast"] = ASTVoiceEncoder(
        ASTVoiceEncoderConfig(width=8, depth=1, heads=2, mlp_width=8, frames=64, embedding_length=LENGTH)
    )
    return found


def decoders() -> dict[str, Decoder]:
    found = {name: one for name, one in small_networks().items() if isinstance(one, Decoder)}
    warping = FaceDecoderConfig(LENGTH, (8,), (8,), 8, (4, 4), warp=True)
    found["face_decoder, warping"] = FaceDecoder(warping)
    return found


def default_model() -> SpeechToFace:
    return SpeechToFace(
        ModelConfig(
            name="tiny",
            revision=1,
            clip_seconds=3.2,
            voice_encoder={"hidden": 8, "layers": 1, "embedding": LENGTH},
            face_generator={"latent": 6, "texture_size": 16, "field_grid": 4, "landmarks": 68},
            head={"identity": 8, "hidden": 4},
        )
    )


@pytest.mark.parametrize("name", encoders())
def test_encoders_bring_their_inputs_to_their_weights(name: str) -> None:
    encoder = encoders()[name].eval().to("meta")
    answer = encoder.encode(VOICES if encoder.input == "voice" else PICTURES)
    assert answer.device.type == "meta" and answer.shape == (2, LENGTH)


@pytest.mark.parametrize("name", decoders())
def test_decoders_bring_embeddings_to_their_weights_and_pictures_back(name: str) -> None:
    decoder = decoders()[name].eval().to("meta")
    with pytest.raises(NotImplementedError, match=NO_NUMBERS):
        decoder.decode(torch.ones(2, LENGTH))


def test_the_default_model_listens_and_paints_where_its_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceGenerator, "_has_landmarks", lambda generator: True)  # a matter of numbers
    model = default_model().to("meta")
    assert model.listen(VOICES).device.type == "meta"
    with pytest.raises(NotImplementedError, match=NO_NUMBERS):
        model.paint(torch.ones(2, LENGTH))


@pytest.mark.parametrize(
    "measure",
    [
        lambda faces: Lpips((4, 4, 4, 4, 4)).to("meta").distances(faces, faces),
        lambda faces: Inception().to("meta").features(faces),
        lambda faces: FaceClassifier(5, 4, (1, 1)).to("meta").log_probabilities(faces),
    ],
    ids=["lpips", "inception", "face_classifier"],
)
def test_networks_of_measures_bring_pictures_to_their_weights(measure: Callable[[Any], Any]) -> None:
    with pytest.raises(NotImplementedError, match=NO_NUMBERS):
        measure(np.zeros((2, 64, 64, 3), np.uint8))
