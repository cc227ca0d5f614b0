"""Sending what is large: files in parts that are gone on with after a break, and archives of many."""

from __future__ import annotations

import shutil
import tempfile
from typing import IO, cast

from flask import Response, request

from core.errors import TooLarge
from core.incoming import uploads
from core.incoming.archives import MOST_ARCHIVE_BYTES, unpack
from core.ledger.tables import User
from core.ledger.upload_tables import Upload
from core.store import Store
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Problem
from dashboard.api.source_schemas import (
    NewUpload,
    PartLink,
    PartLinks,
    PartNumbers,
    PartPath,
    UnpackedView,
    UploadId,
    UploadPath,
    UploadView,
)
from dashboard.identity import viewer
from dashboard.permissions import require_submitter
from dashboard.services import services

api = api_blueprint("uploads", "Large files in parts, and archives of many.")

_IN_MEMORY_BYTES = 4 * 2**20


@api.post("/uploads", responses={201: UploadView, 413: Problem})
def begin(body: NewUpload) -> Response:
    """Begin to send a file in parts, or go on with one: the same fingerprint and size find it again."""
    user = _submitter()
    here = services()
    upload = uploads.begin(
        here.database,
        here.store,
        owner_id=user.id,
        name=body.name,
        size_bytes=body.size_bytes,
        fingerprint=body.fingerprint,
        most=MOST_ARCHIVE_BYTES if body.archive else here.settings.max_upload_bytes,
    )
    return answer(_view(here.store, upload), 201)


@api.get("/uploads/<upload_id>", responses={200: UploadView})
def show(path: UploadPath) -> Response:
    """Which parts of an upload are here."""
    return answer(_view(services().store, _find(viewer(), path.upload_id)))


@api.put("/uploads/<upload_id>/parts/<int:number>", responses={200: UploadId, 409: Problem})
def put_part(path: PartPath) -> Response:
    """Send one part as the raw body of the request."""
    upload = _find(_submitter(), path.upload_id)
    uploads.put_part(services().store, upload, path.number, request.stream)
    return answer(UploadId(id=upload.id))


@api.post("/uploads/<upload_id>/links", responses={200: PartLinks, 409: Problem})
def links(path: UploadPath, body: PartNumbers) -> Response:
    """Addresses that take parts straight into the store, without a way through us."""
    upload = _find(_submitter(), path.upload_id)
    urls = uploads.part_links(services().store, upload, body.parts)
    found = [PartLink(number=number, url=url) for number, url in zip(body.parts, urls, strict=True)]
    return answer(PartLinks(links=found, seconds=uploads.LINK_SECONDS))


@api.post("/uploads/<upload_id>/complete", responses={200: UploadView, 409: Problem})
def complete(path: UploadPath) -> Response:
    """Make a recording of the parts."""
    here = services()
    upload = _find(_submitter(), path.upload_id)
    most = here.settings.max_upload_bytes
    return answer(_view(here.store, uploads.complete(here.database, here.store, upload, most=most)))


@api.post("/uploads/<upload_id>/unpack", responses={200: UnpackedView, 409: Problem, 413: Problem})
def unpack_upload(path: UploadPath) -> Response:
    """Take the ZIP that was sent in parts apart; answers the items to make a job of.

    It may be asked again. Abandon the upload once you have the items; else it is swept away in time.
    """
    upload = _find(_submitter(), path.upload_id)
    with tempfile.TemporaryFile() as file, uploads.join(services().store, upload) as source:
        shutil.copyfileobj(source, file, 2**20)
        file.seek(0)
        return answer(_unpack(file, upload.owner_id))


@api.delete("/uploads/<upload_id>", responses={200: UploadId})
def abandon(path: UploadPath) -> Response:
    """Throw the parts of an upload away."""
    here = services()
    upload = _find(_submitter(), path.upload_id)
    uploads.abandon(here.database, here.store, upload)
    return answer(UploadId(id=upload.id))


@api.post("/archives", responses={201: UnpackedView, 413: Problem})
def send_archive() -> Response:
    """Send a ZIP of recordings as the raw body; answers the items to make a job of."""
    user = _submitter()
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
        size = 0
        while piece := request.stream.read(2**20):
            size += len(piece)
            if size > MOST_ARCHIVE_BYTES:
                raise TooLarge(
                    f"An archive may have {MOST_ARCHIVE_BYTES / 2**30:,.0f} GiB at most. Split it."
                )
            spool.write(piece)
        spool.seek(0)
        return answer(_unpack(cast("IO[bytes]", spool), user.id), 201)


def _unpack(file: IO[bytes], owner_id: str) -> UnpackedView:
    here = services()
    done = unpack(
        here.database,
        here.store,
        file,
        owner_id=owner_id,
        max_bytes=here.settings.max_upload_bytes,
        max_items=here.settings.max_items_per_job,
    )
    failed = sum(item.recording is None for item in done.items)
    return UnpackedView(items=done.items, failed=failed, left_out=done.left_out)


def _submitter() -> User:
    user = viewer()
    require_submitter(user)
    return user


def _find(user: User, upload_id: str) -> Upload:
    with services().database.read() as session:
        return uploads.get_upload(session, user, upload_id)


def _view(store: Store, upload: Upload) -> UploadView:
    return UploadView(
        id=upload.id,
        name=upload.name,
        size_bytes=upload.size_bytes,
        part_bytes=upload.part_bytes,
        parts=uploads.count_parts(upload),
        sent=uploads.sent_parts(store, upload),
        direct=store.is_public,
        recording=upload.recording_sha256,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
        finished_at=upload.finished_at,
    )
