"""Lends decoding processes to threads, and tries once more what failed for no reason of its own.

A file is charged with a crash only when it crashes a process that has seen no other file: the one before may have left
its process damaged. Memory is tried again in the same way, so that it does not matter in whose company a file came.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

import structlog

from core.errors import Retryable
from worker.decoding import process as one_process
from worker.decoding.bounds import DEFAULT_BOUNDS, Bounds
from worker.decoding.messages import memory_file
from worker.decoding.process import DecodingProcess, Ended, How, Kind
from worker.inputs import Given
from worker.ml.audio import DEFAULT_LIMITS, Limits
from worker.ml.errors import AudioError, MediaError, PictureError

log = structlog.get_logger()

FILES_PER_PROCESS = 2_000  # what libraries leak stays small, and starting another one costs 0.1 ms a file
MOST_PROCESSES = 8  # of 50 MB; together they decode some thousand recordings a second
# How often a process may end in some way over one file.
_TRIES: dict[How, int] = {"crashed": 2, "waited_too_long": 2, "computed_too_long": 1, "killed": 3}


class DecodingUnavailable(Retryable):
    """No process that decodes can be started here."""

    code = "decoding_unavailable"


class Decoders:
    """A few warm decoding processes. Threads call `decode`; each waits for a process of its own.

    The processes are started at once, in the background: they are ready long before a model is.
    """

    def __init__(
        self,
        count: int | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        program: Sequence[str] | None = None,
    ) -> None:
        """
        Args:
            count: of processes; as many as there are cores, from two, so that one file never holds up all, to eight.
            program: arguments of the interpreter.
        """
        self._bounds = bounds
        self._program = program
        # A process dies with the thread that started it, and this one lives as long as we do.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="start-decoding")
        self._lock = threading.Lock()
        self._living: set[DecodingProcess] = set()
        self._closed = False
        self._slots: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for _ in range(count or max(2, min(MOST_PROCESSES, len(os.sched_getaffinity(0))))):
            self._slots.put(_Slot(self._begin))

    def decode(self, kind: Kind, source: bytes | Path | BinaryIO, limits: Limits | None = None) -> Given:
        """Decode a recording or a picture. Safe to call from any thread.

        Args:
            source: its content, where it lies, or an open, unbuffered file.
            limits: of recordings.

        Raises:
            AudioError, PictureError: the file cannot be used; with `decoder_crashed`, `decoding_took_too_long` and
                `decoding_needs_memory` beside the codes of `worker.ml`.
            DecodingUnavailable: not the file's fault.
        """
        with _opened(source, kind) as file, self._lent() as slot:
            return self._decode_in(slot, kind, file, limits or DEFAULT_LIMITS)

    @property
    def pids(self) -> list[int]:
        """Of the processes that are up."""
        with self._lock:
            return [process.pid for process in self._living]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes, also those at work; who waits for one gets `DecodingUnavailable`."""
        with self._lock:
            self._closed = True
            living = list(self._living)
        for process in living:
            process.close()
        self._starter.shutdown(wait=False, cancel_futures=True)

    def _decode_in(self, slot: _Slot, kind: Kind, file: BinaryIO, limits: Limits) -> Given:
        ended: list[How] = []
        while True:
            process = self._process_of(slot)
            fresh = process.files == 0
            try:
                given = process.decode(kind, file, limits)
            except Ended as end:
                self._replace(slot, process)
                if self._closed:
                    raise DecodingUnavailable("The worker is leaving.") from end
                ended.append(end.how)
                log.warning("decoding process ended", how=end.how, files=process.files, tries=len(ended))
                if ended.count(end.how) >= _TRIES[end.how]:
                    raise self._verdict(kind, end.how) from end
            except MediaError as error:
                if error.code != "decoding_needs_memory" or fresh:
                    raise
                self._replace(slot, process)
            else:
                if process.files >= FILES_PER_PROCESS:
                    self._replace(slot, process)
                return given

    def _verdict(self, kind: Kind, how: How) -> AudioError | PictureError:
        what, instead = ("recording", "as WAV or FLAC") if kind == "voice" else ("picture", "as JPEG or PNG")
        make = AudioError if kind == "voice" else PictureError
        if how in ("crashed", "killed"):
            return make(
                "decoder_crashed",
                f"The {what} makes the program that decodes it crash; it may be damaged. Export it again, {instead}.",
            )
        return make(
            "decoding_took_too_long",
            f"Decoding the {what} takes more than {self._bounds.cpu_seconds} s; it may be damaged. Export it again, "
            f"{instead}.",
        )

    @contextmanager
    def _lent(self) -> Iterator[_Slot]:
        slot = self._slots.get()
        try:
            yield slot
        finally:
            self._slots.put(slot)

    def _process_of(self, slot: _Slot) -> DecodingProcess:
        try:
            return slot.coming.result()
        except Exception as failure:
            if not self._closed:
                slot.renew()  # for whoever comes next
            raise DecodingUnavailable(f"No process that decodes can be started: {failure}.") from failure

    def _replace(self, slot: _Slot, process: DecodingProcess) -> None:
        process.close()
        with self._lock:
            self._living.discard(process)
        if not self._closed:
            slot.renew()

    def _begin(self) -> Future[DecodingProcess]:
        return self._starter.submit(self._start)

    def _start(self) -> DecodingProcess:
        process = DecodingProcess(self._bounds, self._program or one_process.PROGRAM)
        with self._lock:
            if not self._closed:
                self._living.add(process)
                return process
        process.close()
        raise DecodingUnavailable("The worker is leaving.")


class _Slot:
    """A place for a process, which is there or on its way."""

    def __init__(self, begin: Callable[[], Future[DecodingProcess]]) -> None:
        self._begin = begin
        self.coming = begin()

    def renew(self) -> None:
        self.coming = self._begin()


@contextmanager
def _opened(source: bytes | Path | BinaryIO, kind: Kind) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        with memory_file("recording") as file:
            file.write(source)
            yield file
    elif isinstance(source, Path):
        make = AudioError if kind == "voice" else PictureError
        try:
            opened = source.open("rb", buffering=0)
        except OSError as failure:
            reason = failure.strerror or str(failure)
            raise make(
                "unreadable_file", f"The file cannot be opened ({reason}). Check its path and rights."
            ) from failure
        with opened:
            yield opened
    else:
        yield source
