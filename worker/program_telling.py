"""Passes on what a program tells: to the ledger every second or so, files to the store as they come.

Two threads do it, so that a store that is away for a minute holds up neither the training, nor its supervision, nor
what people see of it. Whatever could not be passed on yet is kept; for each file only its newest word counts.
"""

from __future__ import annotations

import hashlib
import io
import mimetypes
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path, PurePosixPath
from typing import IO

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.claims.chunks import ProgramChunk
from core.errors import LeaseLost, NotFound, Retryable
from core.ledger.database import Database
from core.objects import job_file_key
from core.store import Store
from core.training.program_results import (
    CHECKPOINTS,
    LeftFile,
    Line,
    Point,
    Standing,
    forget_file,
    publish_file,
    publish_standing,
)
from worker.ml.training.events import Event, File, Metrics, Note, Progress

log = structlog.get_logger()

PUBLISH_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 15.0
_POINTS_KEPT = 200_000
_LINES_KEPT = 4_000
_SMALL_BYTES = 32 * 2**20  # files up to this are read once: some of them grow while they are sent
_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".html": "text/html",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".safetensors": "application/octet-stream",
}


class Telling:
    """One for each run of a program. `close` must be called in the end.

    Args:
        folder: that names of files are relative to.
        prefix: put before the names of files in the ledger, such as `production/`.
        only_doing: of progress only what is being done is told, and no curves: another program's numbers stay.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        chunk: ProgramChunk,
        folder: Path,
        *,
        prefix: str = "",
        only_doing: bool = False,
    ) -> None:
        self._database = database
        self._store = store
        self._chunk = chunk
        self._folder = folder
        self._prefix = prefix
        self._only_doing = only_doing
        self._lock = threading.Condition()
        self._progress: Progress | None = None
        self._told: Progress | None = None  # the last that the ledger has
        self._resumed_at: int | None = None
        self._points: deque[Point] = deque(maxlen=_POINTS_KEPT)
        self._lines: deque[Line] = deque(maxlen=_LINES_KEPT)
        self._files: OrderedDict[str, File] = OrderedDict()
        self._sending: str | None = None
        self._ending = False
        self._given_up = False
        self._lost = threading.Event()
        self._threads = [
            threading.Thread(target=copy_context().run, args=(self._keep_telling,), name="tell", daemon=True),
            threading.Thread(target=copy_context().run, args=(self._keep_sending,), name="send", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def lost(self) -> bool:
        """Whether the attempt is over, so that nothing more is passed on."""
        return self._lost.is_set()

    @property
    def standing(self) -> Progress | None:
        return self._progress

    def event(self, event: Event) -> None:
        """Takes an event; returns at once."""
        with self._lock:
            if isinstance(event, Progress):
                self._progress = event
                # Told once, by the first word of a resumed run, and worth showing until its end.
                self._resumed_at = event.resumed_at_step or self._resumed_at
            elif isinstance(event, Metrics) and not self._only_doing:
                self._points.extend(
                    Point(name[:120], event.step, event.epoch, float(value))
                    for name, value in event.values.items()
                )
            elif isinstance(event, File):
                self._files.pop(event.name, None)
                self._files[event.name] = event
                self._lock.notify_all()
            elif isinstance(event, Note):
                self._lines.append(Line(event.text, event.level))

    def line(self, text: str, level: str = "info") -> None:
        """Takes a line for the log."""
        with self._lock:
            self._lines.append(Line(text, level))

    def close(self, seconds: float, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Passes on what is left, for at most so long or until `give_up` says so; answers whether all of it was."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._ending = True
            self._lock.notify_all()
        while any(thread.is_alive() for thread in self._threads):
            left = deadline - time.monotonic()
            if left <= 0 or give_up():
                break
            for thread in self._threads:
                thread.join(min(0.1, left))
        with self._lock:
            self._given_up = True
            self._lock.notify_all()
            return not self.lost and not self._files and self._sending is None

    # The ledger

    def _keep_telling(self) -> None:
        backoff = PUBLISH_SECONDS
        while not self.lost:
            ending = self._pause(PUBLISH_SECONDS if backoff == PUBLISH_SECONDS else backoff)
            try:
                self._tell()
                backoff = PUBLISH_SECONDS
                if ending:
                    return
            except LeaseLost:
                self._lost.set()
            except SQLAlchemyError as error:
                log.warning("not told", job=self._chunk.job_id, error=str(error).splitlines()[0])
                backoff = min(_LONGEST_BACKOFF_SECONDS, 2 * backoff)
                if ending and self._given_up:
                    return

    def _pause(self, seconds: float) -> bool:
        """Waits, less long once it ends; answers whether it does."""
        with self._lock:
            if not self._ending:
                self._lock.wait_for(lambda: self._ending, timeout=seconds)
            return self._ending

    def _tell(self) -> None:
        with self._lock:
            progress = self._progress if self._progress is not self._told else None
            points, lines = list(self._points), list(self._lines)
            self._points.clear()
            self._lines.clear()
        if progress is None and not points and not lines:
            return
        standing = None
        if progress is not None and not self._only_doing:
            standing = Standing(**{**vars(progress), "resumed_at_step": self._resumed_at})
        try:
            with self._database.write() as session:
                publish_standing(
                    session,
                    self._chunk,
                    standing=standing,
                    doing=progress.doing if progress is not None and self._only_doing else None,
                    points=points,
                    lines=lines,
                )
        except SQLAlchemyError:
            with self._lock:
                self._points.extendleft(reversed(points))
                self._lines.extendleft(reversed(lines))
            raise
        self._told = progress or self._told

    # The store

    def _keep_sending(self) -> None:
        backoff = 1.0
        while not self.lost:
            with self._lock:
                self._lock.wait_for(lambda: self._files or self._ending, timeout=1.0)
                file = self._next_file()
                if file is None:
                    if self._ending or self._given_up:
                        return
                    continue
                self._sending = file.name
            try:
                self._pass_on(file)
                backoff = 1.0
                with self._lock:
                    self._sending = None
            except LeaseLost:
                self._lost.set()
            except (Retryable, SQLAlchemyError) as error:
                log.warning(
                    "not sent", job=self._chunk.job_id, file=file.name, error=str(error).splitlines()[0]
                )
                with self._lock:
                    self._sending = None
                    if file.name not in self._files:  # else there is newer word of it
                        self._files[file.name] = file
                        self._files.move_to_end(file.name, last=False)
                    if self._given_up:
                        return
                    self._lock.wait_for(lambda: self.lost or self._given_up, timeout=backoff)
                backoff = min(_LONGEST_BACKOFF_SECONDS, 2 * backoff)

    def _next_file(self) -> File | None:
        """What came first; but nothing is struck off while something still has to be sent.

        Else a store that was away would lose old checkpoints before it got new ones.
        """
        if not self._files or self._given_up:
            return None
        name = next((name for name, file in self._files.items() if not file.gone), next(iter(self._files)))
        return self._files.pop(name)

    def _pass_on(self, file: File) -> None:
        if file.kind in CHECKPOINTS:
            # A run that goes on from it tells nothing of before once more.
            self._tell()
        if file.gone:
            with self._database.write() as session:
                unneeded = forget_file(session, self._chunk, self._prefix + file.name)
            self._delete(unneeded)
            return
        path = _inside(self._folder, file.name)
        if path is None:
            self.line(f"The program left a file {file.name[:200]!r}, which is no safe name.", "warning")
            return
        try:
            with path.open("rb") as content:
                size = path.stat().st_size
                if size <= _SMALL_BYTES:
                    data = content.read()
                    self._send(file, io.BytesIO(data), len(data))
                else:
                    self._send(file, content, size)
        except OSError as error:
            # A checkpoint may have made room for newer ones while the store was away.
            log.info("gone before it was sent", job=self._chunk.job_id, file=file.name, error=str(error))

    def _send(self, file: File, content: IO[bytes], size: int) -> None:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        content.seek(0)
        name = self._prefix + file.name
        key = job_file_key(self._chunk.job_id, sha256)
        ending = PurePosixPath(file.name).suffix
        media_type = (
            _MEDIA_TYPES.get(ending) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        )
        if not self._is_there(key, size):
            self._store.put_file(key, content, media_type)
        left = LeftFile(name[:200], file.kind, key, media_type, size, sha256, file.step)
        with self._database.write() as session:
            unneeded = publish_file(session, self._chunk, left)
        self._delete(unneeded)

    def _is_there(self, key: str, size: int) -> bool:
        try:
            return self._store.size(key) == size
        except NotFound:
            return False

    def _delete(self, keys: list[str]) -> None:
        for key in keys:
            try:
                self._store.delete(key)
            except Retryable as error:
                log.warning("left behind in the store", key=key, error=error.message)


def _inside(folder: Path, name: str) -> Path | None:
    path = PurePosixPath(name)
    parts = name.split("/")
    if path.is_absolute() or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        return None
    return folder / path
