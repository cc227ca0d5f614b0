"""What a model is given: a clip of a recording, or a picture of a face, out of a file's content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from worker.ml.errors import PictureError

if TYPE_CHECKING:
    import numpy.typing as npt

    from worker.ml.audio import Limits

_FRAME = (30, 41, 59)  # what is left and right of a picture: the colour of silence in a spectrogram


@dataclass(frozen=True)
class Given:
    """An input that was decoded.

    Attributes:
        data: waveform float32 `[T]` at 16 kHz, or picture uint8 RGB `[H, W, 3]`.
        duration_seconds: of the recording; None for a picture.
        kind: which of the two it is.
        sample_rate, channels: of the recording, in Hz.
        format, frames: of the picture's file; of several pictures in it the first is taken.
    """

    data: npt.NDArray[Any]
    duration_seconds: float | None
    kind: Literal["voice", "face"]
    sample_rate: int | None = None
    channels: int | None = None
    format: str | None = None
    frames: int = 1

    def shown(self) -> bytes:
        """A small PNG that says what was given: a spectrogram, or the picture itself."""
        if self.kind == "voice":
            from worker.ml.pictures import spectrogram_png

            return spectrogram_png(self.data)
        import numpy as np

        from worker.ml.images import picture_png, resized
        from worker.ml.pictures import SPECTROGRAM_HEIGHT, SPECTROGRAM_WIDTH

        height, width = self.data.shape[:2]
        scale = min(SPECTROGRAM_WIDTH / width, SPECTROGRAM_HEIGHT / height)
        inner = resized(self.data, max(1, round(width * scale)), max(1, round(height * scale)))
        # As wide and high as a spectrogram, whose place it takes on pages and sheets.
        frame = np.full((SPECTROGRAM_HEIGHT, SPECTROGRAM_WIDTH, 3), _FRAME, dtype=np.uint8)
        top, left = (SPECTROGRAM_HEIGHT - inner.shape[0]) // 2, (SPECTROGRAM_WIDTH - inner.shape[1]) // 2
        frame[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return picture_png(frame)


Decode = Callable[
    [Literal["voice", "face"], bytes, "Limits | None"], Given
]  # `read_input`, here or elsewhere


def read_input(
    kind: Literal["voice", "face"], source: bytes | Path | BinaryIO, limits: Limits | None = None
) -> Given:
    """Decode a file for a model that takes voices, or faces, in this very process.

    Args:
        source: its content, where it lies, or the file itself, unbuffered.
        limits: of recordings.

    Raises:
        AudioError, PictureError: with a stable code, when the file cannot be used.
    """
    if kind == "voice":
        from worker.ml.audio import DEFAULT_LIMITS, decode

        clip = decode(source, limits or DEFAULT_LIMITS)
        return Given(
            clip.waveform, clip.duration_seconds, kind, sample_rate=clip.sample_rate, channels=clip.channels
        )
    from worker.ml.images import read_picture

    try:
        content = _content(source)
    except OSError as failure:
        reason = failure.strerror or str(failure)
        raise PictureError(
            "unreadable_file", f"The file cannot be read ({reason}). Check its path and rights."
        ) from failure
    picture = read_picture(content)
    return Given(picture.rgb, None, kind, format=picture.format, frames=picture.frames)


def _content(source: bytes | Path | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, Path):
        return source.read_bytes()
    return source.read()
