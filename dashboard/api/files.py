"""The pictures and the recording of an item."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from flask import Response

from core.errors import NotFound
from core.faces.landmarks import HEAD_BYTES, read_landmarks
from core.names import safe_stem
from core.queries import ItemRow, get_item, get_job
from core.states import ITEM_WITH_FACE
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.item_schemas import LandmarksView
from dashboard.api.object_response import object_response
from dashboard.api.schemas import ItemPath
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("files", "Pictures and recordings. They answer Range and If-None-Match.")

# Media types that `core/incoming/recordings.py` tells by the first bytes, with the ending people expect.
_AUDIO_ENDINGS = {
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/aiff": ".aiff",
    "audio/mpeg": ".mp3",
    "audio/webm": ".webm",
    "audio/mp4": ".m4a",
}
_PICTURE: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"image/png": {}}}}
_THUMBNAIL: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"image/webp": {}, "image/png": {}}}}
_AUDIO: dict[str | int | HTTPStatus, Any] = {"200": {"content": {"audio/*": {}}}}


@api.get("/jobs/<job_id>/items/<int:item_id>/face.png", responses=_PICTURE)
def face(path: ItemPath) -> Response:
    """The face: a guess of the model's, and nobody's likeness."""
    return _face(_row(path))


@api.get("/jobs/<job_id>/items/<int:item_id>/thumbnail.webp", responses=_THUMBNAIL)
def thumbnail(path: ItemPath) -> Response:
    """The face, small. Of drawings from before there were thumbnails it is the face itself, as PNG."""
    row = _row(path)
    if row.state not in ITEM_WITH_FACE or not row.thumbnail_key or not row.thumbnail_sha256:
        return _face(row)
    return object_response(
        row.thumbnail_key,
        size=row.thumbnail_bytes or 0,
        sha256=row.thumbnail_sha256,
        media_type="image/webp",
        file_name=safe_stem(row.name) + ".webp",
    )


@api.get("/jobs/<job_id>/items/<int:item_id>/landmarks", responses={200: LandmarksView})
def landmarks(path: ItemPath) -> Response:
    """Where the model put eyes, nose, mouth and jaw of the face that it drew. Nothing is known of the person's own."""
    row = _row(path)
    if row.state not in ITEM_WITH_FACE or not row.face_key:
        raise NotFound("This item has no face.")
    last = min(row.face_bytes or HEAD_BYTES, HEAD_BYTES) - 1
    found = read_landmarks(b"".join(services().store.stream(row.face_key, (0, last))))
    if found is None:
        raise NotFound("This face has no landmarks: the model that drew it told none.")
    return answer(LandmarksView.model_validate(asdict(found)))


@api.get("/jobs/<job_id>/items/<int:item_id>/spectrogram.png", responses=_PICTURE)
def spectrogram(path: ItemPath) -> Response:
    """What the model heard: time from left to right, pitch from bottom to top."""
    row = _row(path)
    if row.state not in ITEM_WITH_FACE or not row.spectrogram_key or not row.spectrogram_sha256:
        raise NotFound("This item has no spectrogram.")
    return object_response(
        row.spectrogram_key,
        size=row.spectrogram_bytes or 0,
        sha256=row.spectrogram_sha256,
        media_type="image/png",
        file_name=safe_stem(row.name) + ".spectrogram.png",
    )


@api.get("/jobs/<job_id>/items/<int:item_id>/recording", responses=_AUDIO)
def recording(path: ItemPath) -> Response:
    """The recording as it was sent. What is not known to be audio comes as a download."""
    row = _row(path)
    if not row.recording_key or not row.recording_sha256:
        raise NotFound("This item has no recording.")
    ending = _AUDIO_ENDINGS.get(row.media_type or "")
    return object_response(
        row.recording_key,
        size=row.size_bytes or 0,
        sha256=row.recording_sha256,
        media_type=row.media_type if row.media_type and ending else "application/octet-stream",
        file_name=safe_stem(row.name) + (ending or ".bin"),
        attachment=ending is None,
    )


def _face(row: ItemRow) -> Response:
    if row.state not in ITEM_WITH_FACE or not row.face_key or not row.face_sha256:
        raise NotFound("This item has no face.")
    return object_response(
        row.face_key,
        size=row.face_bytes or 0,
        sha256=row.face_sha256,
        media_type="image/png",
        file_name=safe_stem(row.name) + ".png",
    )


def _row(path: ItemPath) -> ItemRow:
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        return get_item(session, job.id, path.item_id)
