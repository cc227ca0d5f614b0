"""The stations beside the network: a recording comes in and is decoded; a picture is encoded and goes out.

Each runs in a thread of its own pool; the picture encoder and the store release the interpreter, and decoding happens
in processes of its own (`worker.decoding`), as nobody knows what is in a file.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import Literal

import structlog

from core.claims.chunks import ClaimedItem, InferChunk
from core.claims.results import AlreadyDrawn, CouldNotDraw, Drawn, Outcome
from core.errors import NotFound
from core.objects import face_key, spectrogram_key, thumbnail_key
from core.store import Store
from worker.decoding.decoders import Decoders
from worker.inputs import Given
from worker.ml.audio import Limits
from worker.ml.drawing_models import DrawnFace
from worker.ml.errors import AudioError, PictureError
from worker.ml.pictures import THUMBNAIL_TYPE, face_metadata, face_png, face_thumbnail
from worker.shortage import shortage_told

log = structlog.get_logger()

# Larger recordings go through a file, so that a few of them at once cannot fill the memory.
_IN_MEMORY_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Heard:
    """A decoded input and the seconds of work it took."""

    given: Given
    seconds: float


@shortage_told()
def hear(
    store: Store,
    decoders: Decoders,
    item: ClaimedItem,
    limits: Limits,
    kind: Literal["voice", "face"] = "voice",
) -> Heard | Outcome:
    """Fetches and decodes; what is wrong with the recording, or the picture, comes back as its outcome.

    Raises:
        StorageUnavailable, DecodingUnavailable, NoMemory: the recording is not at fault.
    """
    if item.drawing_id is not None:
        return AlreadyDrawn(item.id, item.drawing_id)
    began = time.monotonic()
    try:
        if item.size_bytes <= _IN_MEMORY_BYTES:
            given = decoders.decode(kind, store.get(item.object_key), limits)
            return Heard(given, time.monotonic() - began)
        # Without a name, so that nothing of a voice stays on this disk when the process is killed.
        with tempfile.TemporaryFile(buffering=0) as file:
            for piece in store.stream(item.object_key):
                file.write(piece)
            return Heard(decoders.decode(kind, file, limits), time.monotonic() - began)
    except (AudioError, PictureError) as error:
        return CouldNotDraw(item.id, error.code, error.message, time.monotonic() - began)
    except NotFound:
        message = "The recording is no longer in the object store. Send it again."
        return CouldNotDraw(item.id, "recording_missing", message, time.monotonic() - began)


@shortage_told()
def hand_out(
    store: Store,
    chunk: InferChunk,
    item: ClaimedItem,
    heard: Heard,
    face: DrawnFace,
    drawing_seconds: float,
    model: str,
) -> Outcome:
    """Encodes and uploads a face, a small copy of it, and the picture of what it was drawn from.

    Args:
        drawing_seconds: this face's share of the time its batch took.
        model: the model version's label, for the picture's metadata.

    Raises:
        StorageUnavailable, NoMemory: nothing was published; the work may be done again.
    """
    began = time.monotonic()
    metadata = face_metadata(model, item.recording_sha256, heard.given.kind, face.landmarks)
    picture, thumbnail = face_png(face.rgb, metadata), face_thumbnail(face.rgb, metadata)
    spectrogram = heard.given.shown()
    stored_face = store.put(face_key(chunk.job_id, chunk.token, item.id), picture, "image/png", "face")
    stored_spectrogram = store.put(
        spectrogram_key(chunk.job_id, chunk.token, item.id), spectrogram, "image/png", "spectrogram"
    )
    stored_thumbnail = store.put(
        thumbnail_key(chunk.job_id, chunk.token, item.id), thumbnail, THUMBNAIL_TYPE, "thumbnail"
    )
    return Drawn(
        item_id=item.id,
        recording_sha256=item.recording_sha256,
        face=stored_face,
        spectrogram=stored_spectrogram,
        seconds=heard.seconds + drawing_seconds + time.monotonic() - began,
        duration_seconds=heard.given.duration_seconds,
        thumbnail=stored_thumbnail,
    )
