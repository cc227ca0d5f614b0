"""A dataset version on a disk: every file checked by its SHA-256, those that are here already left alone.

`dataset.json` comes last, so a folder that has one is complete, as with a dataset that was prepared on this machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from threading import Lock

from core.client import Client
from core.client_views import DatasetFileView, DatasetView
from core.errors import InvalidRequest, StorageUnavailable
from core.submitting.downloads import prepare_folder

LAST = "dataset.json"
_THREADS = 4

Counted = Callable[[int, int], None]  # files here, files in all


def download_dataset(
    client: Client, label: str, out: Path, counted: Counted = lambda done, total: None
) -> tuple[DatasetView, int]:
    """Brings a version into a folder, or what is missing of it; answers it and how many files were fetched.

    Raises:
        InvalidRequest: the folder cannot be written to, or holds another dataset.
        StorageUnavailable: a file arrived damaged, twice.
    """
    dataset = client.dataset(label)
    prepare_folder(out)
    last = [file for file in dataset.files if file.name == LAST]
    if last and _sha256(out / LAST) not in (None, last[0].sha256):
        raise InvalidRequest(f"{out} holds another dataset. Choose another folder.")
    lock = Lock()
    done = fetched = 0

    def one(file: DatasetFileView) -> None:
        nonlocal done, fetched
        is_new = _fetch(client, file, out)
        with lock:
            done += 1
            fetched += is_new
            counted(done, len(dataset.files))

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="download") as threads:
        waiting = [threads.submit(one, file) for file in dataset.files if file.name != LAST]
        try:
            for future in waiting:
                future.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    for file in last:
        one(file)
    return dataset, fetched


def _fetch(client: Client, file: DatasetFileView, out: Path) -> bool:
    path = out / _inside(file.name)
    if path.is_file() and path.stat().st_size == file.size_bytes and _sha256(path) == file.sha256:
        return False
    partial = path.with_name(f".{path.name}.part")
    for _ in range(2):
        digest = hashlib.sha256()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as written:
                for piece in client.stream(file.url):
                    digest.update(piece)
                    written.write(piece)
            if digest.hexdigest() == file.sha256:
                partial.replace(path)
                return True
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InvalidRequest(f"{str(path)!r} cannot be written: {reason}.") from error
        finally:
            partial.unlink(missing_ok=True)
    raise StorageUnavailable(f"{file.name} does not arrive as it was registered; try again later.")


def _inside(name: str) -> PurePosixPath:
    # The service names files itself; one that does not must still not choose where we write.
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidRequest(f"The service named a file {name!r}, which is no safe path.")
    return path


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidRequest(
            f"{str(path)!r} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error
