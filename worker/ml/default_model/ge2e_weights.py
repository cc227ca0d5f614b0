"""The voice encoder's starting weights, from the file or the wheel they are published in."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch

from worker.ml.voice_encoder import VoiceEncoder

MEMBER = "resemblyzer/pretrained.pt"  # inside the wheel of Resemblyzer 0.1.4, Apache-2.0


def load_ge2e(path: Path) -> VoiceEncoder:
    """Read `pretrained.pt`, or the wheel that contains it.

    The file also holds the optimiser and the two numbers of the GE2E loss, which nothing needs after training.
    """
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            content = wheel.read(MEMBER)
    else:
        content = path.read_bytes()
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["model_state"]
    encoder = VoiceEncoder()
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    return encoder.eval().requires_grad_(False)
