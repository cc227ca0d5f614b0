"""What is measured: a model that draws from voices or from faces, or an encoder of voices alone.

Whatever it is, it makes embeddings of what a prepared dataset keeps, and most draw pictures of embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from worker.evaluation.request import InvalidRequest
from worker.ml.dataset_reader import EntryRow, PreparedDataset
from worker.ml.devices import inference_precision
from worker.ml.metrics.landmarks import Points
from worker.ml.metrics.matching import Vectors
from worker.ml.model_folders import PAIR, SPEECH_TO_FACE, read_config_values
from worker.ml.networks.catalogue import KINDS, load_network
from worker.ml.networks.conditional_generator import ConditionalGenerator
from worker.ml.networks.pretrained import Decoder, Encoder
from worker.ml.pair import Pair
from worker.ml.preparation.voices import FILTER_BANK, SPECTROGRAM, normalised_ast
from worker.ml.speech_to_face import SpeechToFace

BATCH = 16
Faces = npt.NDArray[np.uint8]
WAVEFORM, PICTURE = "waveform", "picture"
_OF_THE_DATA = ("mean", "std")  # fields of a recipe that a network brings itself


@dataclass(frozen=True)
class Drawn:
    """Pictures uint8 RGB `[N, S, S, 3]`, and float32 `[N, 72, 2]` landmarks in their pixels, where the model says."""

    pictures: Faces
    landmarks: Points | None


class Subject:
    """A loaded model.

    Attributes:
        version, weights_sha256: as in faces that it draws.
        takes: what it makes embeddings of.
        draws: whether it also draws.
        noise_length: of the noise it takes; 0 for models that take none.
        embedding_space: names what its embeddings mean; empty where it has a meaning to itself alone.
    """

    def __init__(
        self, encoder: Encoder | SpeechToFace, decoder: Decoder | None, version: str, sha256: str
    ) -> None:
        self.version, self.weights_sha256 = version, sha256
        self._encoder, self._decoder = encoder, decoder
        self.takes: Literal["voice", "face"] = encoder.input
        self.draws = decoder is not None or isinstance(encoder, SpeechToFace)
        self.noise_length = (
            int(decoder.config.noise_length) if isinstance(decoder, ConditionalGenerator) else 0
        )
        self.embedding_space = encoder.embedding_space if isinstance(encoder, Encoder) else ""

    @property
    def image_size(self) -> int:
        """Side of a picture in pixels; 0 where nothing is drawn."""
        model = self._decoder or self._encoder
        return int(model.image_size) if isinstance(model, Decoder | SpeechToFace) else 0

    def embed(self, dataset: PreparedDataset, entries: Sequence[EntryRow]) -> torch.Tensor:
        """Embeddings float32 `[N, D]` of entries of the side that it takes.

        Raises:
            InvalidRequest: the dataset keeps nothing of them that this model can use.
        """
        parts = [
            self._embed(dataset, entries[start : start + BATCH]) for start in range(0, len(entries), BATCH)
        ]
        return torch.cat(parts)

    def embed_pictures(self, pictures: Sequence[Faces]) -> torch.Tensor:
        """Embeddings of pictures uint8 RGB `[H, W, 3]`, for models that take faces."""
        return torch.cat(
            [self._encode(pictures[start : start + BATCH]).cpu() for start in range(0, len(pictures), BATCH)]
        )

    def paint(self, embeddings: torch.Tensor, noise: torch.Tensor | None = None) -> Drawn:
        """Draw a face for each row.

        Args:
            embeddings: `[N, D]`.
            noise: `[N, noise_length]`, for models that take any.
        """
        if isinstance(self._encoder, SpeechToFace):
            with torch.inference_mode():
                return Drawn(self._encoder.paint(embeddings).pictures, None)
        assert self._decoder is not None, "it draws nothing"
        if isinstance(self._decoder, ConditionalGenerator):
            assert noise is not None, "its noise is to be given"
            return Drawn(self._decoder.decode_with_noise(embeddings, noise).pictures, None)
        painted = self._decoder.decode(embeddings)
        return Drawn(painted.pictures, painted.landmarks)

    def noise(self, numbers: Sequence[int]) -> torch.Tensor | None:
        """Noise for each number, the same for the same number wherever it stands; None for models without."""
        if not self.noise_length:
            return None
        rows = [
            torch.randn(self.noise_length, generator=torch.Generator().manual_seed(number))
            for number in numbers
        ]
        return torch.stack(rows)

    def _embed(self, dataset: PreparedDataset, entries: Sequence[EntryRow]) -> torch.Tensor:
        feature = self._feature()
        if self.takes == "face":
            _require(entries, PICTURE, "face", self.version)
            return self._encode([dataset.picture(entry) for entry in entries])
        if feature is not None and all(feature in entry.members for entry in entries):
            # Already made by the very recipe of this network, and of a longer stretch than a kept waveform may be.
            return self._from_features(feature, [dataset.array(entry, feature) for entry in entries])
        _require(entries, WAVEFORM, "voice", self.version)
        return self._encode([dataset.array(entry, WAVEFORM) for entry in entries])

    def _encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        if isinstance(self._encoder, SpeechToFace):
            exact = torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            )
            with torch.inference_mode(), exact:
                return self._encoder.listen(inputs)
        with torch.inference_mode():
            return self._encoder.encode(inputs)

    def _feature(self) -> str | None:
        """The member of a voice that is this encoder's input as it is."""
        kind = getattr(self._encoder, "kind", "")
        recipe = {"ve_conv": SPECTROGRAM, "ast": FILTER_BANK}.get(kind)
        if recipe is None:
            return None
        config = cast(Encoder, self._encoder).config
        same = all(
            getattr(config, field.name) == getattr(recipe, field.name)
            for field in fields(recipe)
            if field.name not in _OF_THE_DATA
        )
        return kind if same else None

    def _from_features(self, feature: str, arrays: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        encoder = cast(Encoder, self._encoder)
        features = torch.from_numpy(np.stack(arrays)).to(encoder.device)
        if feature == "ast":
            features = normalised_ast(features, encoder.config.mean, encoder.config.std)
        with torch.inference_mode(), inference_precision(encoder.device, encoder.precision):
            return torch.cat([encoder(some).float() for some in torch.split(features, 4)])


def load_subject(folders: Sequence[Path], device: str) -> Subject:
    """Load what is to be measured.

    Raises:
        ModelError: see `load_drawing_model`.
        InvalidRequest: it is a network that neither draws nor encodes by itself.
    """
    if len(folders) == 2:
        return _of_pair(Pair.from_folders(folders[0], folders[1], device))
    kind = read_config_values(folders[0]).get("kind", SPEECH_TO_FACE)
    if kind == SPEECH_TO_FACE:
        model = SpeechToFace.from_pretrained(folders[0], device)
        return Subject(model, None, model.version, model.weights_sha256)
    if kind == PAIR:
        return _of_pair(Pair.from_pretrained(folders[0], device))
    if kind in KINDS and KINDS[kind].role in ("voice_encoder", "face_encoder"):
        encoder = load_network(folders[0], device)
        assert isinstance(encoder, Encoder)
        return Subject(encoder, None, encoder.identity.version, encoder.identity.weights_sha256)
    raise InvalidRequest(
        "invalid_recipe",
        f"A network of kind {kind!r} is only half of a model. Name a pair, as in ENCODER+DECODER, or an encoder.",
    )


def _of_pair(pair: Pair) -> Subject:
    return Subject(pair.encoder, pair.decoder, pair.version, pair.weights_sha256)


def _require(entries: Sequence[EntryRow], what: str, side: str, version: str) -> None:
    if any(what not in entry.members for entry in entries):
        raise InvalidRequest(
            "invalid_recipe",
            f"The dataset keeps no {what} of every {side}, which {version} takes. Prepare it anew with "
            f"--{side} {what}.",
        )


def as_vectors(embeddings: torch.Tensor) -> Vectors:
    """float32 `[N, D]` beside the processor."""
    vectors: Vectors = embeddings.float().cpu().numpy()
    return vectors
