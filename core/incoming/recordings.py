"""Taking recordings in: counted and hashed while they arrive, kept once however often they are sent."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.errors import TooLarge
from core.ledger.database import Database, now
from core.ledger.tables import Recording, RecordingOwner
from core.objects import recording_key
from core.people.quotas import require_space, take_space
from core.store import Store

_READ_AT_ONCE = 1024 * 1024
_IN_MEMORY_BYTES = 4 * 1024 * 1024

# First bytes of the formats a browser can play, or show; what somebody claims about a file is never believed.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"RIFF", "audio/wav"),
    (0, b"RF64", "audio/wav"),
    (0, b"FORM", "audio/aiff"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
    (4, b"ftyp", "audio/mp4"),
)


def media_type_of(head: bytes) -> str:
    """The media type that the first bytes of a file speak of."""
    for offset, signature, media_type in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return media_type
    return "application/octet-stream"


def take_in(
    database: Database, store: Store, source: IO[bytes], *, owner_id: str, max_bytes: int
) -> Recording:
    """Stores what `source` holds and makes it the owner's; the same content is stored once.

    Raises:
        TooLarge: it holds more than `max_bytes`; nothing is kept.
        QuotaExceeded: its owner would go over what they may store; nothing is kept.
        StorageUnavailable: try again later.
    """
    digest = hashlib.sha256()
    size = 0
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
        while piece := source.read(_READ_AT_ONCE):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge(
                    f"This recording is larger than {max_bytes / 2**20:,.0f} MiB. Send a shorter piece of it."
                )
            digest.update(piece)
            spool.write(piece)
        sha256 = digest.hexdigest()
        spool.seek(0)
        media_type = media_type_of(spool.read(16))
        with database.read() as session:
            known = session.get(Recording, sha256)
            require_space(session, owner_id, size, sha256)
        is_there = known is not None and known.purged_at is None
        if not is_there:
            spool.seek(0)
            store.put_file(recording_key(sha256), spool, media_type)
        with database.write() as session:
            take_space(session, owner_id, size, sha256)
            recording, is_new = _enter(session, sha256, size, media_type, owner_id)
        # What was there may have been removed while this arrived, and after its row was looked at. From now on its
        # owner keeps it.
        if is_new and known is not None and not store.exists(recording.object_key):
            spool.seek(0)
            store.put_file(recording.object_key, spool, media_type)
        return recording


def _enter(
    session: Session, sha256: str, size: int, media_type: str, owner_id: str
) -> tuple[Recording, bool]:
    """The row, locked, and whether its content was not here a moment ago."""
    at = now(session)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row = {
        "sha256": sha256,
        "object_key": recording_key(sha256),
        "size_bytes": size,
        "media_type": media_type,
        "created_at": at,
    }
    recording, is_new = None, False
    while recording is None:  # it may be deleted between the two
        is_new = bool(
            session.scalar(insert(Recording).values(row).on_conflict_do_nothing().returning(Recording.sha256))
        )
        recording = session.scalar(select(Recording).where(Recording.sha256 == sha256).with_for_update())
    if recording.purged_at is not None:
        recording.purged_at, is_new = None, True
    session.execute(
        insert(RecordingOwner)
        .values(sha256=sha256, owner_id=owner_id, created_at=at)
        # Retention counts from when it was last sent.
        .on_conflict_do_update(index_elements=["sha256", "owner_id"], set_={"created_at": at})
    )
    session.flush()
    return recording, is_new
