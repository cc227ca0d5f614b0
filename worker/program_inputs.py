"""What a program reads, as local folders: the dataset version, models, and checkpoints of an earlier attempt.

Content is fetched once per machine and kept under its SHA-256, so versions of a dataset that share shards share files.
How long it is kept is decided in `worker/dataset_cache.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.config import Settings
from core.errors import NotFound, Permanent, Retryable, StorageUnavailable
from core.ledger.database import Database
from core.ledger.tables import DatasetVersion, Job, ModelVersion
from core.models.files import holds
from core.models.registry import fetch_model, resolve_model
from core.states import JOB_FINAL
from core.store import Store
from core.training.program_results import LeftFile, files_left
from worker.dataset_cache import DatasetCache
from worker.ml.full_disk import is_full
from worker.supervisor import Why

log = structlog.get_logger()

_THREADS = 4
_LOCK_SECONDS = 45.0  # an earlier attempt of this machine has this long to leave the folder
_LAST = "dataset.json"  # comes last: a folder that has it is complete


class DatasetMissing(Permanent):
    """A part of the dataset is no longer in the object store."""

    code = "dataset_not_found"


class FolderBusy(Retryable):
    """An earlier attempt on this machine has not left the folder of this run yet."""

    code = "folder_busy"


class Stopped(Exception):
    """Raised out of fetching, when it is no longer wanted."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


WhyStop = Callable[[], Why | None]


class ProgramInputs:
    """Safe to use from one thread at a time."""

    def __init__(self, settings: Settings, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._cache = settings.cache_folder.expanduser()
        self._datasets = DatasetCache(self._cache / "datasets", settings.max_dataset_cache_bytes)

    def release(self) -> None:
        """Says that the datasets handed out are no longer read: they stay until somebody needs their room."""
        self._datasets.release()

    def dataset(self, label: str, why_stop: WhyStop) -> tuple[DatasetVersion, Path]:
        """A dataset version and the folder that holds it, which stays until `release`.

        What was used longest ago makes room for it.

        Raises:
            DatasetMissing, StorageUnavailable, Stopped, OSError.
        """
        with self._database.read() as session:
            version = dataset_version(session, label)
        folder = self._datasets.hold(version.sha256)
        files = [
            LeftFile(one["name"], "", one["key"], "", one["size_bytes"], one["sha256"])
            for one in version.files
        ]
        self._datasets.make_room(
            sum(
                file.size_bytes
                for file in files
                if not _has_size(folder / file.name, file.size_bytes)
                and not _has_size(self._datasets.contents / file.sha256, file.size_bytes)
            )
        )
        while True:
            try:
                self._place_all(files, folder, why_stop)
                return version, folder
            except NotFound as error:
                raise DatasetMissing(
                    f"{version.label} is no longer whole in the object store. Prepare it again, then retry."
                ) from error
            except OSError as error:
                # Others write to this disk as well, so it may be full long before the limit.
                if not is_full(error) or not self._datasets.remove_oldest():
                    raise

    def models(
        self, labels: Mapping[str, str], why_stop: WhyStop
    ) -> tuple[dict[str, ModelVersion], dict[str, Path]]:
        """Versions by field, and the folder of each by the label that the spec has for it.

        Args:
            labels: by field, as `core.training.requests.model_references` answers them.

        Raises:
            NotFound, StorageUnavailable, Stopped, OSError.
        """
        versions, folders = {}, {}
        for field, label in labels.items():
            _check(why_stop)
            with self._database.read() as session:
                versions[field] = resolve_model(session, label)
            folders[label] = fetch_model(self._store, versions[field], self._cache / "models")
        return versions, folders

    def restore(self, job_id: str, folder: Path, kinds: tuple[str, ...], why_stop: WhyStop) -> list[str]:
        """Brings files of a job back into its run folder, those that are not there as they should be; names them.

        What is no longer in the store, or damaged, is left out: the program takes an older one.
        """
        with self._database.read() as session:
            files = files_left(session, job_id, kinds)
        brought = []
        for file in files:
            path = folder / file.name
            if holds(path, file.sha256):
                continue
            try:
                self._fetch(file, path, why_stop)
                brought.append(file.name)
            except NotFound:
                log.warning("not in the store", job=job_id, file=file.name)
        return brought

    @contextmanager
    def run_folder(self, job_id: str, why_stop: WhyStop) -> Iterator[Path]:
        """The folder of a job on this machine, for this attempt alone.

        Raises:
            FolderBusy: somebody else has not left it in time.
        """
        runs = self._cache / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        folder = runs / job_id
        with (runs / f"{job_id}.lock").open("w") as lock:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    _check(why_stop)
                    if time.monotonic() > deadline:
                        raise FolderBusy() from None
                    time.sleep(0.2)
            folder.mkdir(exist_ok=True)
            yield folder

    def sweep(self) -> None:
        """Removes run folders of jobs that have ended."""
        runs = self._cache / "runs"
        for folder in runs.glob("job_*") if runs.is_dir() else ():
            job_id = folder.name.removesuffix(".lock")
            with self._database.read() as session:
                state = session.scalar(select(Job.state).where(Job.id == job_id))
            if state in JOB_FINAL:
                self.forget(job_id)
                (runs / f"{job_id}.lock").unlink(missing_ok=True)

    def forget(self, job_id: str) -> None:
        """Removes the run folder of a job, unless somebody is in it."""
        runs = self._cache / "runs"
        path = runs / f"{job_id}.lock"
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            shutil.rmtree(runs / job_id, ignore_errors=True)

    def _place_all(self, files: list[LeftFile], folder: Path, why_stop: WhyStop) -> None:
        def place(file: LeftFile) -> None:
            self._place(file, folder / file.name, self._datasets.contents / file.sha256, why_stop)

        with ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch") as threads:
            for done in [threads.submit(place, file) for file in files if file.name != _LAST]:
                done.result()
        for file in files:
            if file.name == _LAST:
                place(file)

    def _place(self, file: LeftFile, path: Path, content: Path, why_stop: WhyStop) -> None:
        while not _has_size(path, file.size_bytes):
            if not _has_size(content, file.size_bytes):
                self._fetch(file, content, why_stop)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            try:
                os.link(content, path)
            except (FileExistsError, FileNotFoundError):
                continue  # another process was first, or made room before this name held on to it
            except OSError:
                shutil.copyfile(content, path)  # a file system without links

    def _fetch(self, file: LeftFile, path: Path, why_stop: WhyStop) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".fetching-")
        partial = Path(name)
        try:
            digest = hashlib.sha256()
            with os.fdopen(number, "wb") as written:
                for piece in self._store.stream(file.object_key):
                    _check(why_stop)
                    digest.update(piece)
                    written.write(piece)
            if digest.hexdigest() != file.sha256:
                raise StorageUnavailable(
                    f"{file.name} does not arrive from the object store as it was left there."
                )
            partial.chmod(0o644)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False


def dataset_version(session: Session, label: str) -> DatasetVersion:
    """The version that a kept spec names. Whether its owner may see it was asked when the job was made.

    Raises:
        NotFound: there is none.
    """
    name, _, number = label.partition("@")
    found = session.scalar(
        select(DatasetVersion).where(DatasetVersion.name == name, DatasetVersion.version == int(number))
    )
    if found is None:
        raise NotFound(f"There is no dataset {label!r}.")
    return found


def _check(why_stop: WhyStop) -> None:
    why = why_stop()
    if why is not None:
        raise Stopped(why)
