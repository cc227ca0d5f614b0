"""Large files on their way in: sent in parts, gone on with after a break, and recordings once they are whole.

The parts are gathered by the store's own multipart upload, so nothing is lost when we are restarted. What came
together is read once more on its way to its place among the recordings: only what we hashed ourselves has a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import IO

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotFound, QuotaExceeded, StorageUnavailable, TooLarge
from core.identifiers import new_id
from core.incoming.recordings import take_in
from core.ledger.database import Database, now
from core.ledger.tables import User
from core.ledger.upload_tables import Upload
from core.people.quotas import require_space, take_turns
from core.store import Store

PART_BYTES = 8 * 2**20  # S3 takes no part below 5 MiB, but the last
LIFE = timedelta(days=3)
LINK_SECONDS = 900
_MOST_OPEN = 1000
_TRIES = 3
_GONE = "There is no such upload: it may have been abandoned, or swept away unfinished."
_SWEPT_AT_ONCE = 200


def begin(
    database: Database,
    store: Store,
    *,
    owner_id: str,
    name: str,
    size_bytes: int,
    fingerprint: str,
    most: int,
) -> Upload:
    """An upload to send parts to; the one that was begun before for the same file, if it goes on.

    Raises:
        TooLarge: the file is larger than `most` bytes.
        InvalidRequest: it is empty, or too many uploads of this owner are under way.
        QuotaExceeded: it would go over what they may store.
    """
    if size_bytes > most:
        raise TooLarge(f"This recording is larger than {most / 2**20:,.0f} MiB. Send a shorter piece of it.")
    if size_bytes < 1:
        raise InvalidRequest("An empty file has no parts. Send it with PUT /api/v1/recordings.")
    with database.read() as session:
        at = now(session)
        open_ones = _open(owner_id)
        earlier = session.scalar(
            open_ones.where(
                Upload.fingerprint == fingerprint, Upload.size_bytes == size_bytes, Upload.expires_at > at
            )
        )
        if earlier is not None:
            return earlier
        _require_space(session, owner_id, size_bytes, at)
        if len(session.scalars(open_ones.limit(_MOST_OPEN)).all()) >= _MOST_OPEN:
            raise InvalidRequest(f"{_MOST_OPEN} uploads are under way already: finish or abandon some first.")
    upload_id = new_id("upload")
    key = f"uploads/{upload_id}"
    upload = Upload(
        id=upload_id,
        owner_id=owner_id,
        name=name,
        size_bytes=size_bytes,
        fingerprint=fingerprint,
        object_key=key,
        s3_upload_id=store.begin_parts(key),
        part_bytes=PART_BYTES,
        created_at=at,
        expires_at=at + LIFE,
    )
    try:
        with database.write() as session:
            take_turns(session, owner_id)  # others may have begun, too
            _require_space(session, owner_id, size_bytes, at)
            session.add(upload)
    except QuotaExceeded:
        discard(store, upload)
        raise
    return upload


def _require_space(session: Session, owner_id: str, size_bytes: int, at: datetime) -> None:
    """Parts lie in the store whether they are ever made whole or not, so all that was begun counts."""
    begun = select(func.sum(Upload.size_bytes)).where(
        Upload.owner_id == owner_id,
        Upload.finished_at.is_(None),
        Upload.abandoned_at.is_(None),
        Upload.expires_at > at,
    )
    require_space(session, owner_id, size_bytes, coming=int(session.scalar(begun) or 0))


def get_upload(session: Session, viewer: User, upload_id: str) -> Upload:
    """Somebody's own upload. Nobody else, whatever their role, has any business with half a file.

    Raises:
        NotFound: there is none, or it was abandoned.
    """
    upload = session.scalar(
        select(Upload).where(
            Upload.id == upload_id, Upload.owner_id == viewer.id, Upload.abandoned_at.is_(None)
        )
    )
    if upload is None:
        raise NotFound(_GONE)
    return upload


def count_parts(upload: Upload) -> int:
    return -(-upload.size_bytes // upload.part_bytes)


def size_of_part(upload: Upload, number: int) -> int:
    """Bytes of a part; the last one is what remains.

    Raises:
        InvalidRequest: there is no part of that number.
    """
    parts = count_parts(upload)
    if not 1 <= number <= parts:
        raise InvalidRequest(f"This upload has the parts 1 to {parts}; there is no part {number}.")
    return min(upload.part_bytes, upload.size_bytes - (number - 1) * upload.part_bytes)


def sent_parts(store: Store, upload: Upload) -> list[int]:
    """Numbers of the parts that are there as a whole."""
    if upload.finished_at is not None or upload.s3_upload_id is None:
        return []
    try:
        parts = store.parts(upload.object_key, upload.s3_upload_id)
    except NotFound:
        return list(range(1, count_parts(upload) + 1)) if store.exists(upload.object_key) else []
    return [
        number
        for number, size, _ in parts
        if number <= count_parts(upload) and size == size_of_part(upload, number)
    ]


def put_part(store: Store, upload: Upload, number: int, source: IO[bytes]) -> None:
    """Keeps one part; sent again, it takes the place of the first.

    Raises:
        InvalidRequest: it is not as long as this part is.
        Conflict: the upload has ended.
    """
    _require_open(upload)
    wanted = size_of_part(upload, number)
    pieces = bytearray()
    while len(pieces) <= wanted and (piece := source.read(min(2**20, wanted + 1 - len(pieces)))):
        pieces += piece
    if len(pieces) != wanted:
        raise InvalidRequest(f"Part {number} has {wanted:,} bytes; what arrived is not as long.")
    store.put_part(upload.object_key, str(upload.s3_upload_id), number, bytes(pieces))


def part_links(store: Store, upload: Upload, numbers: Sequence[int]) -> list[str]:
    """Addresses that take these parts straight into the store, each for a quarter of an hour.

    What arrives there is measured when the parts are joined: a part of another length counts as missing.

    Raises:
        InvalidRequest: there is no part of that number.
        Conflict: the upload has ended, or the settings do not say how browsers reach the store.
    """
    _require_open(upload)
    for number in numbers:
        size_of_part(upload, number)
    return [
        store.part_link(upload.object_key, str(upload.s3_upload_id), number, seconds=LINK_SECONDS)
        for number in numbers
    ]


def complete(database: Database, store: Store, upload: Upload, *, most: int) -> Upload:
    """Makes a recording of the parts. Asked again, it answers the same.

    Raises:
        Conflict: parts are missing.
        NotFound: its owner had everything deleted meanwhile.
        TooLarge: more arrived than was announced and is taken.
    """
    if upload.finished_at is not None:
        return upload
    for left in reversed(range(_TRIES)):
        try:
            source = join(store, upload)
            recording = take_in(database, store, source, owner_id=upload.owner_id, max_bytes=most)
            break
        except (Conflict, NotFound, StorageUnavailable):
            # Who lost patience asks once more while we are at it: the second one finds the parts gone, as they are
            # being joined, or later what was made of them.
            with database.read() as session:
                ended = session.get(Upload, upload.id)
            if ended is not None and ended.finished_at is not None:
                return ended
            if not left or not store.exists(upload.object_key):
                raise
    with database.write() as session:
        kept = session.get(Upload, upload.id)
        if kept is None:
            raise NotFound(_GONE)
        kept.recording_sha256 = recording.sha256
        kept.finished_at = now(session)
    store.delete(upload.object_key)
    return kept


def join(store: Store, upload: Upload) -> IO[bytes]:
    """Puts the parts together, and reads what they are. They stay until the upload is finished or abandoned.

    Raises:
        Conflict: parts are missing, or the upload has ended.
    """
    _require_open(upload)
    missing = sorted(set(range(1, count_parts(upload) + 1)) - set(sent_parts(store, upload)))
    if missing:
        raise Conflict(
            f"{len(missing)} of {count_parts(upload)} parts are missing, first of all {missing[0]}."
        )
    if not store.exists(upload.object_key):
        store.join_parts(upload.object_key, str(upload.s3_upload_id))
    return store.open(upload.object_key)


def abandon(database: Database, store: Store, upload: Upload) -> None:
    """Throws the parts away. Of a finished upload only the note that it was: its recording stays."""
    with database.write() as session:
        kept = session.get(Upload, upload.id)
        if kept is None or kept.finished_at is not None or kept.abandoned_at is not None:
            return
        kept.abandoned_at = now(session)
    discard(store, upload)


def sweep(database: Database, store: Store) -> int:
    """Abandons what was not made whole in time; answers how many uploads that were."""
    with database.read() as session:
        stale = session.scalars(
            select(Upload)
            .where(
                Upload.expires_at <= now(session), Upload.finished_at.is_(None), Upload.abandoned_at.is_(None)
            )
            .limit(_SWEPT_AT_ONCE)
        ).all()
    for upload in stale:
        abandon(database, store, upload)
    return len(stale)


def _open(owner_id: str) -> Select[Upload]:
    return select(Upload).where(
        Upload.owner_id == owner_id, Upload.finished_at.is_(None), Upload.abandoned_at.is_(None)
    )


def _require_open(upload: Upload) -> None:
    if upload.finished_at is not None:
        raise Conflict("This upload has been completed; there is nothing more to send.")


def discard(store: Store, upload: Upload) -> None:
    """Throws away what an upload has in the store; what is gone already is no matter."""
    if upload.s3_upload_id is not None:
        store.drop_parts(upload.object_key, upload.s3_upload_id)
    store.delete(upload.object_key)
