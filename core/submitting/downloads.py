"""A job's results on a disk: one picture for each recording, the table, and a contact sheet.

Every file is written under a temporary name and then renamed, so that whatever bears its name is whole. Running
it again fetches only what is missing or different, also while the job still runs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from core.client import Client
from core.client_views import ItemView
from core.errors import InvalidRequest, NotFound
from core.names import safe_stem
from core.states import ITEM_WITH_FACE, ItemState
from core.submitting.result_folder import CONTACT_SHEET as CONTACT_SHEET
from core.submitting.result_folder import RESULTS as RESULTS
from core.submitting.result_folder import SHEET_TILES
from core.submitting.result_folder import prepare_folder as prepare_folder

_THREADS = 4

Counted = Callable[[int, int], None]


@dataclass(frozen=True)
class Download:
    """What lies in the folder now."""

    out: Path
    faces: int
    fetched: int  # of these, how many came just now
    failed: int
    unfinished: int


def download(client: Client, job_id: str, out: Path, counted: Counted = lambda done, total: None) -> Download:
    """Brings what a job has so far into a folder.

    Args:
        counted: told how many faces are here, and of how many.

    Raises:
        InvalidRequest: the folder cannot be written to.
    """
    prepare_folder(out)
    items = list(client.items(job_id))
    faces = [item for item in items if item.state in ITEM_WITH_FACE and item.face_url and item.face_name]
    fetched = _fetch_faces(client, faces, out, counted)
    _write(out / RESULTS, client.stream_results(job_id))
    sheet = _contact_sheet(client, items, out, client.job(job_id).input)
    if sheet:
        _write(out / CONTACT_SHEET, [sheet])
    return Download(
        out=out,
        faces=len(faces),
        fetched=fetched,
        failed=sum(item.state is ItemState.FAILED for item in items),
        unfinished=sum(item.state in (ItemState.PENDING, ItemState.LEASED) for item in items),
    )


def _fetch_faces(client: Client, faces: Sequence[ItemView], out: Path, counted: Counted) -> int:
    lock = Lock()
    here = fetched = 0

    def one(item: ItemView) -> None:
        nonlocal here, fetched
        is_new = _fetch_face(client, item, out)
        with lock:
            here += 1
            fetched += is_new
            counted(here, len(faces))

    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="download")
    try:
        for future in [threads.submit(one, item) for item in faces]:
            future.result()
    finally:
        # As in `core.submitting.sending`: after Ctrl-C nobody is waited for.
        threads.shutdown(wait=False, cancel_futures=True)
    return fetched


def _fetch_face(client: Client, item: ItemView, out: Path) -> bool:
    assert item.face_name is not None
    assert item.face_url is not None
    path = out / _plain_name(item.face_name)
    try:
        known = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        known = None
    data = client.fetch(item.face_url, unless_sha256=known)
    if data is None:
        return False
    if known != hashlib.sha256(data).hexdigest():
        _write(path, [data])
        return True
    return False


def _plain_name(name: str) -> str:
    # The service names files safely; a service that does not must still not choose where we write.
    if name != f"{safe_stem(name)}.png" or name.startswith("."):
        raise InvalidRequest(f"The service named a face {name!r}, which is no safe file name.")
    return name


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    partial = path.with_name(f".{os.getpid()}.part-{path.name}")
    try:
        with partial.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        partial.replace(path)
    except OSError as error:
        raise InvalidRequest(f"{str(path)!r} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _contact_sheet(client: Client, items: Sequence[ItemView], out: Path, drawn_from: str) -> bytes | None:
    ended = [item for item in items if item.state in ITEM_WITH_FACE or item.state is ItemState.FAILED]
    if not ended:
        return None
    # Pillow takes a fifth of a second to load, and only this function needs it.
    from core.faces.contact_sheet import Tile, contact_sheet_png

    def tile(item: ItemView) -> Tile:
        has_face = item.state in ITEM_WITH_FACE and item.face_name is not None
        return Tile(
            label=item.name,
            face=(out / item.face_name).read_bytes() if has_face and item.face_name else None,
            spectrogram=_spectrogram(client, item),
            note=None if has_face else item.error_code,
        )

    shown = ended[:SHEET_TILES]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="sheet") as threads:
        tiles = list(threads.map(tile, shown))
    count = f"{len(ended)} {'pictures' if drawn_from == 'face' else 'recordings'}"
    title = count if len(shown) == len(ended) else f"the first {len(shown)} of {count}"
    return contact_sheet_png(tiles, title)


def _spectrogram(client: Client, item: ItemView) -> bytes | None:
    if not item.spectrogram_url:
        return None
    try:
        return client.fetch(item.spectrogram_url)
    except NotFound:
        return None
