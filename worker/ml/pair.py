"""An encoder and a decoder in a row: voices, or faces, in; faces out.

Any encoder goes with any decoder that takes embeddings of its length and its space. A pair is kept as a folder with a
`config.json` of its own and the two networks in `encoder/` and `decoder/`, or is put together on the spot from two
folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.errors import ModelError
from worker.ml.face_finder import sixty_eight
from worker.ml.model_folders import DECODER, ENCODER, PAIR, read_config_values
from worker.ml.networks.catalogue import load_network
from worker.ml.networks.pretrained import Decoder, Encoder, Pictures

MOST_AT_ONCE = 16  # VE_conv alone takes 200 MB of activations a clip


class Pair:
    """An encoder and a decoder that fit together.

    Attributes:
        version: as shown to people and written into pictures.
        input: `voice` or `face`: what `draw` takes.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, version: str = "") -> None:
        """Raises:
        ModelError: `models_do_not_fit`.
        """
        _check_fit(encoder, decoder)
        self.encoder, self.decoder = encoder, decoder
        self.version = version or f"{encoder.identity.version}+{decoder.identity.version}"

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "auto") -> Pair:
        """Load a pair's folder.

        Raises:
            ModelError: see `Network.from_pretrained`, and `models_do_not_fit`.
        """
        folder = Path(folder)
        values = read_config_values(folder)
        if values.get("kind") != PAIR:
            raise ModelError("checkpoint_mismatch", f"{folder} is not a pair of networks.")
        version = f"{values.get('name', PAIR)}@{values.get('revision', 1)}"
        return cls.from_folders(folder / ENCODER, folder / DECODER, device, version)

    @classmethod
    def from_folders(cls, encoder: Path, decoder: Path, device: str = "auto", version: str = "") -> Pair:
        """Put two networks' folders together."""
        first, second = load_network(encoder, device), load_network(decoder, device)
        if not isinstance(first, Encoder):
            raise ModelError(
                "models_do_not_fit", f"{first.identity.version} encodes neither voices nor faces."
            )
        if not isinstance(second, Decoder):
            raise ModelError("models_do_not_fit", f"{second.identity.version} draws no faces.")
        return cls(first, second, version)

    @property
    def input(self) -> Literal["voice", "face"]:
        return self.encoder.input

    @property
    def weights_sha256(self) -> str:
        """Names both networks' weights."""
        both = self.encoder.identity.weights_sha256 + self.decoder.identity.weights_sha256
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def image_size(self) -> int:
        """Side of a face in pixels."""
        return self.decoder.image_size

    @property
    def clip_seconds(self) -> float:
        """How much of a recording is listened to."""
        return self.encoder.clip_seconds

    def paint(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> Pictures:
        """Faces and, where the decoder has them, landmarks, of a batch. See `draw`."""
        with torch.inference_mode():
            return self.decoder.decode(self.encoder.encode(inputs), seed)

    def draw(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> npt.NDArray[np.uint8]:
        """The pictures of `draw_with_landmarks`."""
        return self.draw_with_landmarks(inputs, seed).pictures

    def draw_with_landmarks(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> Pictures:
        """Draw a face for each input.

        Args:
            inputs: waveforms float32 `[T]` at 16 kHz, or pictures uint8 RGB `[H, W, 3]`, by `input`.
            seed: of the noise, for decoders that take any.

        Returns:
            Faces of `image_size`, and the 68 landmarks of each where the decoder knows them.
        """
        pictures = [np.zeros((0, self.image_size, self.image_size, 3), dtype=np.uint8)]
        points: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(inputs), MOST_AT_ONCE):
            drawn = self.paint(inputs[start : start + MOST_AT_ONCE], seed)
            pictures.append(drawn.pictures)
            if drawn.landmarks is not None:
                points.append(sixty_eight(drawn.landmarks))
        return Pictures(np.concatenate(pictures), np.concatenate(points) if points else None)


def _check_fit(encoder: Encoder, decoder: Decoder) -> None:
    names = f"{encoder.identity.version} and {decoder.identity.version}"
    if encoder.embedding_length != decoder.embedding_length:
        raise ModelError(
            "models_do_not_fit",
            f"{names} do not fit: embeddings of {encoder.embedding_length} numbers come out of the first, and "
            f"{decoder.embedding_length} go into the second.",
        )
    spaces = {encoder.embedding_space, decoder.embedding_space} - {""}
    if len(spaces) > 1:
        raise ModelError(
            "models_do_not_fit",
            f"{names} do not fit: the first speaks of {encoder.embedding_space}, the second was trained on "
            f"{decoder.embedding_space}.",
        )
