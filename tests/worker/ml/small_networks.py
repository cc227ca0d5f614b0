"""Networks of every kind in sizes that take milliseconds, saved as folders."""

from __future__ import annotations

from pathlib import Path

import torch

from worker.ml.networks.conditional_generator import ConditionalGenerator, ConditionalGeneratorConfig
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder, MatchingFaceEncoderConfig
from worker.ml.networks.matching_speech_encoder import (
    MatchingSpeechEncoder,
    MatchingSpeechEncoderConfig,
)
from worker.ml.networks.pretrained import Network
from worker.ml.networks.ve_conv import VEConv, VEConvConfig
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig

LENGTH = 16  # of embeddings


def small_networks() -> dict[str, Network]:
    """An encoder of voices, an encoder of faces and a decoder of each of the two systems."""
    torch.manual_seed(7)
    return {
        "ve_conv": VEConv(
            VEConvConfig(
                widths=(4, 8),
                strides=(2, 2),
                pooled=(True, False),
                hidden_length=LENGTH,
                embedding_length=LENGTH,
                final_relu=False,
            )
        ),
        "vgg_face": VGGFace(
            VGGFaceConfig(image_size=32, widths=(4, 8), depths=(1, 1), embedding_length=LENGTH, classes=5)
        ),
        "face_decoder": FaceDecoder(
            FaceDecoderConfig(
                embedding_length=LENGTH,
                shared_lengths=(24, 16),
                landmark_lengths=(16,),
                texture_side=8,
                texture_widths=(8, 4, 4),
            )
        ),
        "matching_speech_encoder": MatchingSpeechEncoder(
            MatchingSpeechEncoderConfig(
                embedding_length=LENGTH, filters=8, filter_length=51, channels=(8, 8), clip_seconds=2.0
            )
        ),
        "matching_face_encoder": MatchingFaceEncoder(
            MatchingFaceEncoderConfig(embedding_length=LENGTH, image_size=32, base_channels=4, max_channels=8)
        ),
        "conditional_generator": ConditionalGenerator(
            ConditionalGeneratorConfig(
                embedding_length=LENGTH, noise_length=8, image_size=32, base_channels=4, max_channels=8
            )
        ),
    }


def save_small_networks(folder: Path) -> dict[str, Path]:
    """Each in a folder of its own, by kind."""
    folders = {}
    for name, network in small_networks().items():
        folders[name] = folder / name
        network.eval().save_pretrained(folders[name])
    return folders
