"""Whatever can draw: the default model, and pairs of an encoder and a decoder. One way to name and load them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from worker.ml.errors import ModelError
from worker.ml.model_folders import ENCODER, PAIR, SPEECH_TO_FACE, find_model, read_config_values

if TYPE_CHECKING:
    from worker.ml.networks.pretrained import Pictures  # torch: over a second

_JOINED_BY = "+"


@dataclass(frozen=True)
class DrawnFace:
    """A face as a model drew it.

    Attributes:
        rgb: uint8 `[H, W, 3]`.
        landmarks: float32 `[68, 2]`, x then y in pixels of `rgb`, in the order of iBUG; None where the model knows
            none.
    """

    rgb: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float32] | None = None


class DrawingModel(Protocol):
    """A model that draws faces; see `worker.ml.pair.Pair.draw`."""

    @property
    def input(self) -> Literal["voice", "face"]: ...

    @property
    def version(self) -> str: ...

    @property
    def weights_sha256(self) -> str: ...

    @property
    def image_size(self) -> int: ...

    @property
    def clip_seconds(self) -> float: ...

    def draw(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> npt.NDArray[np.uint8]: ...

    def draw_with_landmarks(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> Pictures: ...


def draw_faces(network: DrawingModel, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> list[DrawnFace]:
    """A face for each input, with its landmarks where the model knows them.

    Args:
        inputs: waveforms float32 `[T]` at 16 kHz, or pictures uint8 RGB `[H, W, 3]`, by what the model takes.
        seed: of the noise, for models that take any.
    """
    drawn = network.draw_with_landmarks(inputs, seed)
    if drawn.landmarks is None:
        return [DrawnFace(rgb) for rgb in drawn.pictures]
    return [
        DrawnFace(rgb, points if np.isfinite(points).all() else None)
        for rgb, points in zip(drawn.pictures, drawn.landmarks, strict=True)
    ]


def find_drawing_model(reference: str) -> tuple[Path, ...]:
    """The folders that a reference stands for: one, or two for `ENCODER+DECODER`. Loads nothing.

    Raises:
        ModelError: `model_not_found`.
    """
    if _JOINED_BY in reference and not Path(reference).exists():
        encoder, _, decoder = reference.partition(_JOINED_BY)
        return find_model(encoder), find_model(decoder)
    return (find_model(reference),)


def input_of(folders: Sequence[Path]) -> Literal["voice", "face"]:
    """What a model takes, told from its configuration alone."""
    values = read_config_values(folders[0])
    if values.get("kind") == PAIR:
        values = read_config_values(folders[0] / ENCODER)
    return "face" if values.get("input") == "face" else "voice"


def load_drawing_model(folders: Sequence[Path], device: str = "auto") -> DrawingModel:
    """Load what `find_drawing_model` found.

    Raises:
        ModelError: `model_not_found`, `checkpoint_mismatch`, `models_do_not_fit`, `device_not_found`, or
            `cannot_draw` for a network that is only half of a model.
    """
    if len(folders) > 1:
        from worker.ml.pair import Pair

        return Pair.from_folders(folders[0], folders[1], device)
    kind = read_config_values(folders[0]).get("kind", SPEECH_TO_FACE)
    if kind == SPEECH_TO_FACE:
        from worker.ml.speech_to_face import SpeechToFace

        return SpeechToFace.from_pretrained(folders[0], device)
    if kind == PAIR:
        from worker.ml.pair import Pair

        return Pair.from_pretrained(folders[0], device)
    raise ModelError(
        "cannot_draw",
        f"A network of kind {kind!r} draws nothing by itself. Put an encoder and a decoder together: ENCODER+DECODER.",
    )
