"""Sending recordings: one body, one recording, known by its content from then on."""

from __future__ import annotations

from flask import Response, request

from core.errors import NotFound, TooLarge
from core.incoming.recordings import take_in
from core.ledger.tables import Recording
from core.queries import find_recording
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Problem, RecordingPath, RecordingView
from dashboard.identity import viewer
from dashboard.permissions import require_submitter
from dashboard.services import services

api = api_blueprint("recordings", "Audio that jobs are made of.")


@api.put("/recordings", responses={201: RecordingView, 413: Problem})
def send() -> Response:
    """Send one recording as the raw body of the request.

    The same content may be sent again; it is kept once.
    """
    user = viewer()
    require_submitter(user)
    here = services()
    limit = here.settings.max_upload_bytes
    if request.content_length is not None and request.content_length > limit:
        # The body is refused unread, so the connection cannot be used for another request.
        raise TooLarge(f"This recording is larger than {limit / 2**20:,.0f} MiB. Send a shorter piece of it.")
    recording = take_in(here.database, here.store, request.stream, owner_id=user.id, max_bytes=limit)
    return answer(_view(recording), 201)


@api.get("/recordings/<sha256>", responses={200: RecordingView})
def show(path: RecordingPath) -> Response:
    """Whether you have sent this recording before; ask with HEAD to save an upload."""
    with services().database.read() as session:
        recording = find_recording(session, viewer().id, path.sha256)
    if recording is None:
        raise NotFound("You have not sent this recording.")
    return answer(_view(recording))


def _view(recording: Recording) -> RecordingView:
    return RecordingView(
        recording=recording.sha256, size_bytes=recording.size_bytes, media_type=recording.media_type
    )
