"""A small prepared dataset of people that never were, the frozen networks to train with, and small recipes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image

from core.training.specs import TrainSpec
from tests.worker.ml.small_networks import LENGTH
from tests.worker.ml.synthetic_people import face, people, voice
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.landmark_warp import DLIB_ORDER
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig
from worker.prepare import main

SIZE = 32
PEOPLE = 30
DECODER_SIZES = {
    "shared_lengths": (24, 16),
    "landmark_lengths": (16,),
    "texture_side": 8,
    "texture_widths": (8, 4, 4),
}
VE_CONV_SIZES = {
    "widths": (4, 8),
    "strides": (8, 4),
    "pooled": (True, False),
    "hidden_length": 16,
    "final_relu": False,
}
AST_SIZES = {"width": 16, "depth": 1, "heads": 2, "mlp_width": 16, "stride": 32, "final_relu": False}
SPEECH_SIZES = {
    "embedding_length": LENGTH,
    "filters": 8,
    "filter_length": 51,
    "filter_stride": 16,
    "channels": (8, 8),
    "front_norm": "clip",
}
FACE_SIZES = {"embedding_length": LENGTH, "image_size": 16, "base_channels": 4, "max_channels": 8}
GENERATOR_SIZES = {"noise_length": 8, "image_size": 16, "base_channels": 4, "max_channels": 8}
TRUNK_SIZES = {"base_channels": 4, "max_channels": 8}


@dataclass(frozen=True)
class MadeUp:
    """Folders."""

    dataset: Path
    models: Mapping[str, Path]


def make(root: Path) -> MadeUp:
    """Voices with spectrograms, filter banks and waveforms; faces with landmarks and embeddings."""
    torch.manual_seed(7)
    networks = {
        "vgg_face": VGGFace(
            VGGFaceConfig(image_size=SIZE, widths=(4, 8), depths=(1, 1), embedding_length=LENGTH, classes=5)
        ),
        "face_decoder": FaceDecoder(FaceDecoderConfig(embedding_length=LENGTH, **DECODER_SIZES)),
    }
    models = {}
    for name, network in networks.items():
        models[name] = root / name
        network.eval().save_pretrained(models[name])
    write_people(root / "people", PEOPLE)
    recipe = {
        "voice": {"features": ["ve_conv", "ast", "waveform"]},
        "face": {"outputs": ["picture", "landmarks", "embedding"], "size": SIZE, "encoder": "vgg_face"},
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
    }
    code = main(
        [
            str(root / "people" / "manifest.csv"),
            *("--out", str(root / "dataset"), "--device", "cpu", "--recipe-json", json.dumps(recipe)),
            *("--face-encoder", str(models["vgg_face"])),
        ]
    )
    assert code == 0
    return MadeUp(root / "dataset", models)


def write_people(root: Path, count: int) -> None:
    """Two voices and two faces each, with landmarks beside the faces, and a manifest."""
    root.mkdir(parents=True)
    lines = []
    for number, traits in enumerate(people(count, seed=3)):
        draw = np.random.default_rng(number)
        for clip in range(2):
            name = f"p{number:02d}-{clip}"
            soundfile.write(root / f"{name}.wav", voice(traits, draw, 0.6), 16_000)
            drawn = (face(traits, draw, SIZE).transpose(1, 2, 0) + 1) * 127.5
            Image.fromarray(drawn.round().astype(np.uint8)).save(root / f"{name}.png")
            np.save(root / f"{name}_landmarks.npy", landmarks(traits, draw))
            gender = "female" if traits[0] > 0 else "male"
            lines.append((f"p{number:02d}", gender, f"{name}.wav", f"{name}.png"))
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("identity", "gender", "voice", "face"), *lines])


def landmarks(traits: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """72 points on and in an oval, in pixels of 224, wider and higher by the traits."""
    turns = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    rings = 40 + 8 * (np.arange(68) % 5)[:, None]
    oval = np.stack([(1 + 0.2 * traits[1]) * np.cos(turns), (1 + 0.2 * traits[2]) * np.sin(turns)], axis=1)
    points = 112 + rings * oval + draw.normal(0, 0.5, (68, 2))
    return points[list(DLIB_ORDER)].astype(np.float32).reshape(-1)


def spec(recipe: Mapping[str, Any], **values: Any) -> TrainSpec:
    """Of two epochs in batches of eight, on one thread, in float32, unless something else is said."""
    loop = {"epochs": 2, "batch": 8, "optimiser": {"learning_rate": 3e-3}}
    machine = {"precision": "fp32", "loader_threads": 1, **values.pop("machine", {})}
    return TrainSpec.model_validate(
        {
            "model": "made-up",
            "dataset": "people",
            "recipe": {"loop": loop, **recipe},
            "machine": machine,
            **values,
        }
    )


RECIPES: dict[str, dict[str, Any]] = {
    "face_decoder": {"task": "face_decoder", "sizes": DECODER_SIZES},
    "ve_conv": {"task": "ve_conv", "sizes": VE_CONV_SIZES},
    "ast": {
        "task": "ast",
        "sizes": AST_SIZES,
        "fine_tune": {"epochs": 1, "batch": 8, "optimiser": {"learning_rate": 1e-3}},
    },
    "matching": {
        "task": "matching",
        "sizes": SPEECH_SIZES,
        "face_sizes": FACE_SIZES,
        "clip_seconds": 0.5,
    },
    "gan": {
        "task": "gan",
        "voice_encoder": "matching-voice",
        "sizes": GENERATOR_SIZES,
        "discriminator_sizes": TRUNK_SIZES,
    },
}
