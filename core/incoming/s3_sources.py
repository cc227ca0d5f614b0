"""Recordings that lie in a bucket already: what is at an address, and taking it in, some at a time.

Only places that the settings name are read, with the service's own credentials, and never our own bucket: it holds the
recordings of everybody. An object is copied and hashed on its way, so that a job keeps what it was made of whatever
becomes of the bucket.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.config import Settings
from core.errors import InvalidRequest, InvalidSettings, NotAllowed, NotFound, TooLarge
from core.incoming.recordings import take_in
from core.ledger.database import Database
from core.specs import NewItem
from core.store import Store
from core.submitting.intake import is_side_name

Wanted = Literal["voice", "face"]

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
# One request takes in no more than this: whoever asks sees progress, and no connection is held for long.
TAKEN_AT_ONCE = 100
_SECONDS_AT_ONCE = 20.0
_LOOKED_AT = 10_000
_PAGE = 1000
_LONGEST = 1000  # of a key or a name of an item


@dataclass(frozen=True)
class Place:
    """A bucket and how the keys in it begin."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass
class Found:
    """What lies at an address.

    Attributes:
        more: there is more than was looked at.
    """

    recordings: int = 0
    left_out: int = 0
    size_bytes: int = 0
    more: bool = False


@dataclass
class Taken:
    """Items of what was taken in, and the key to go on behind; None at the end."""

    items: list[NewItem] = field(default_factory=list)
    left_out: int = 0
    next: str | None = None


def open_places(settings: Settings) -> list[Place]:
    """Where jobs may read from.

    Raises:
        InvalidSettings: an address is none, or is of our own bucket.
    """
    places = []
    for given in filter(None, map(str.strip, settings.s3_sources.split(","))):
        match = _ADDRESS.fullmatch(given)
        if match is None:
            raise InvalidSettings(
                f"VOICESKETCH_S3_SOURCES: {given!r} is no address such as s3://bucket/folder."
            )
        bucket, folder = match[1], (match[2] or "").strip("/")
        if bucket == settings.s3_bucket:
            raise InvalidSettings(
                f"VOICESKETCH_S3_SOURCES: {bucket!r} holds what everybody sent; jobs read from other buckets only."
            )
        places.append(Place(bucket, f"{folder}/" if folder else ""))
    return places


def find_place(url: str, places: Sequence[Place]) -> Place:
    """The place that somebody means.

    Raises:
        InvalidRequest: it is no address of S3.
        NotAllowed: jobs may not read from there.
    """
    match = _ADDRESS.fullmatch(url.strip())
    if match is None or "\0" in url:
        raise InvalidRequest(f"{url[:200]!r} is no address of S3: write it as s3://bucket/folder.")
    if not places:
        raise NotAllowed(
            "Jobs may not read from S3 here: whoever runs this place sets VOICESKETCH_S3_SOURCES."
        )
    bucket, prefix = match[1], match[2] or ""
    for place in places:
        if place.bucket != bucket:
            continue
        # The folder itself, called without its stroke, is not `folder-of-others`, which begins in the same way.
        if prefix.startswith(place.prefix) or f"{prefix}/" == place.prefix:
            return Place(bucket, max(prefix, place.prefix, key=len))
    allowed = ", ".join(place.url for place in places)
    raise NotAllowed(f"Jobs may not read from {url[:200]!r}. Allowed here: {allowed}")


def look(store: Store, place: Place, wanted: Wanted = "voice") -> Found:
    """Counts what lies there, up to ten thousand objects.

    Raises:
        InvalidRequest: there is no such bucket.
    """
    found = Found()
    bucket = store.of_bucket(place.bucket)
    after, seen = "", 0
    while seen < _LOOKED_AT:
        some = _page(bucket, place, after)
        for key, size in some:
            if _is_folder(key):
                continue
            if _is_aside(place, key, wanted):
                found.left_out += 1
            else:
                found.recordings += 1
                found.size_bytes += size
        if len(some) < _PAGE:
            return found
        after, seen = some[-1][0], seen + len(some)
    found.more = bool(bucket.page(place.prefix, after=after, limit=1))
    return found


def take(
    database: Database,
    store: Store,
    place: Place,
    *,
    owner_id: str,
    max_bytes: int,
    after: str = "",
    wanted: Wanted = "voice",
) -> Taken:
    """Takes in what lies behind `after`, as much as fits into one request. Asked again, it does the same.

    Raises:
        InvalidRequest: there is no such bucket.
        StorageUnavailable: try again later.
    """
    taken = Taken()
    bucket = store.of_bucket(place.bucket)
    until = time.monotonic() + _SECONDS_AT_ONCE
    some = _page(bucket, place, after)
    for number, (key, size) in enumerate(some):
        if _is_folder(key):
            continue
        if _is_aside(place, key, wanted):
            taken.left_out += 1
            continue
        taken.items.append(_item(database, store, bucket, place, key, size, owner_id, max_bytes))
        is_last = number == len(some) - 1
        if not is_last and (len(taken.items) >= TAKEN_AT_ONCE or time.monotonic() > until):
            taken.next = key
            return taken
    taken.next = some[-1][0] if len(some) == _PAGE else None
    return taken


def _item(
    database: Database,
    store: Store,
    bucket: Store,
    place: Place,
    key: str,
    size: int,
    owner_id: str,
    max_bytes: int,
) -> NewItem:
    known = _below(place, key)[-_LONGEST:]
    try:
        if size > max_bytes:
            raise TooLarge(
                f"This recording is larger than {max_bytes / 2**20:,.0f} MiB. Put a shorter piece there."
            )
        with bucket.open(key) as source:
            recording = take_in(database, store, source, owner_id=owner_id, max_bytes=max_bytes)
    except TooLarge as error:
        return NewItem(
            key=known, name=known, recording=None, error_code=error.code, error_message=error.message
        )
    except NotFound:
        message = "It was removed from the bucket before it was taken in."
        return NewItem(
            key=known, name=known, recording=None, error_code="missing_file", error_message=message
        )
    return NewItem(key=known, name=known, recording=recording.sha256, error_code=None, error_message=None)


def _page(bucket: Store, place: Place, after: str) -> list[tuple[str, int]]:
    try:
        return bucket.page(place.prefix, after=after, limit=_PAGE)
    except NotFound as error:
        raise InvalidRequest(f"There is no bucket {place.bucket!r} in this store.") from error


def _below(place: Place, key: str) -> str:
    """What people call an object: its key without the folder that was asked for."""
    return key[place.prefix.rfind("/") + 1 :]


def _is_folder(key: str) -> bool:
    return key.endswith("/")


def _is_aside(place: Place, key: str, wanted: Wanted) -> bool:
    parts = _below(place, key).split("/")
    if any(part.startswith(".") for part in parts):
        return True
    # Who gives the whole address of one object means it, whatever it is called.
    return key != place.prefix and is_side_name(parts[-1], wanted)
