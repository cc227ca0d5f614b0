"""The inference runner: claims chunks and keeps the network busy until nothing waits.

The work itself is done along the drawing line (`worker/drawing.py`). The next chunk is claimed while this one is on its
way, so decoding never waits for a commit nor the network for a claim. Outcomes are published every second or so: faces
appear while a chunk is at work, and little is lost with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.claims.chunks import Chunk, InferChunk, PrepareChunk, ProgramChunk
from core.claims.leases import claim_chunk, is_work_waiting, release
from core.claims.results import AlreadyDrawn, CouldNotDraw, Drawn, Outcome, publish_outcomes
from core.claims.workers import end_worker, register_worker
from core.config import Settings
from core.costs import charge
from core.errors import LeaseLost, Retryable, VoicesketchError
from core.ledger.database import Database
from core.specs import PROGRAM_KINDS
from core.states import ItemState
from core.store import Store
from core.training.program_results import is_mine
from core.watching.logs import at_work_on
from core.watching.tracing import tracer
from worker.dataset_work import DatasetWork
from worker.decoding.decoders import Decoders
from worker.drawing import BATCH, DrawingLine, OpenChunk
from worker.ml.audio import Limits
from worker.ml.devices import choose_device
from worker.ml.errors import ModelError
from worker.models import Models
from worker.program_work import ProgramWork
from worker.pulse import Pulse
from worker.supervisor import Why

log = structlog.get_logger()

OPEN_CHUNKS = 2
WAIT_SECONDS = 0.2  # at most, from one look at orders and at what is due to the next
PUBLISH_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 30.0
LOOK_SECONDS = 0.3  # from one look for other work to the next, while a dataset or a program is in the making
CLOSING_SECONDS = 40.0  # a program leaves a checkpoint within 30 s
_SHARED_KINDS = ("infer", "prepare")  # several chunks of these are open at a time
_CANCELLED = "it was cancelled or taken away"
_LEAVING = "the worker is leaving"


class Runner:
    """One per process. `run_until_idle` is called by the doorbell; `close` when the process ends."""

    def __init__(self, settings: Settings, *, programs: Mapping[str, Sequence[str]] | None = None) -> None:
        """Args:
        programs: see `ProgramWork`.
        """
        self._settings = settings
        self._database = Database(settings.database_url)
        self._store = Store(settings)
        self._models = Models(settings, self._database, self._store)
        self._device = _device_in_use(settings.device)
        with self._database.write() as session:
            self.worker_id = register_worker(session, queue=settings.queue, device=self._device)
        self._pulse = Pulse(self._database, settings, self.worker_id)
        self._decoders = Decoders()  # their processes start while the first model loads
        limits = Limits(max_seconds=settings.max_recording_seconds)
        self._line = DrawingLine(self._store, self._decoders, limits)
        self._open: list[OpenChunk] = []
        # Preparations take a thread of their own: a dataset in the making must not keep ten recordings waiting.
        self._dataset_work = DatasetWork(
            self._database, self._store, self._models, settings.device, self._decoders
        )
        self._preparer = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._preparing: dict[Future[bool], PrepareChunk] = {}
        # Trainings and the like run in processes of their own, one at a time; a thread sees each through.
        self._program_work = ProgramWork(settings, self._database, self._store, programs=programs)
        self._supervising = ThreadPoolExecutor(1, thread_name_prefix="program")
        self._programs: dict[Future[bool], ProgramChunk] = {}
        self._program_failures = 0  # in a row
        self._no_program_before = 0.0
        self._closing = False
        self._failures = 0  # in a row, of what surrounds us
        self._charged_until = 0.0
        self._not_before = 0.0  # nothing is claimed until then

    def run_until_idle(self) -> None:
        """Works until no chunk can be claimed and everything claimed is published or given back."""
        while True:
            self._wait_out_failures()
            self._claim_ahead()
            if not self._open and not self._preparing and not self._programs:
                break
            if self._open:
                # A network that hangs in its driver must not pass for one that works.
                if self._line.step(WAIT_SECONDS) or not self._line.is_drawing:
                    self._pulse.moved(self._describe())
                self._stop_what_must()
                self._publish()
            else:
                if not self._preparing:
                    # The thread that sees the program through has limits of its own; this loop is not stuck.
                    self._pulse.moved(self._program_work.doing)
                at_work = [*self._preparing, *self._programs]
                wait(at_work, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            self._end_preparations()
            self._end_programs()
        self._pulse.moved("")

    def close(self) -> None:
        """Gives back what is still held and leaves the register.

        Where even that fails the pulse has stopped all the same, so the leases run out and the work goes on elsewhere.
        """
        self._closing = True
        wait(self._programs, timeout=CLOSING_SECONDS)
        self._pulse.end()
        self._supervising.shutdown(wait=False, cancel_futures=True)
        self._line.close()
        self._decoders.close()
        self._preparer.shutdown(wait=False, cancel_futures=True)
        try:
            for one in self._open:
                self._let_go(one.chunk, "the worker stops")
            for preparation in self._preparing.values():
                self._let_go(preparation, "the worker stops")
            for program in self._programs.values():
                self._let_go(program, "the worker stops")
            with self._database.write() as session:
                end_worker(session, self.worker_id)
        except SQLAlchemyError as error:
            log.warning("left without a word", error=str(error).splitlines()[0])
        self._open.clear()
        self._database.dispose()

    def _describe(self) -> str:
        first = self._open[0]
        return f"drawing for {first.chunk.job_id} with {first.model.label}"

    def _claim_ahead(self) -> None:
        while kinds := self._kinds_wanted():
            if self._programs:
                # For hours there may be nothing else: looking costs less than a write transaction.
                with self._database.read() as session:
                    if not is_work_waiting(session, self._settings.queue, kinds):
                        return
            began = time.time()
            with self._database.write() as session:
                chunk = claim_chunk(
                    session,
                    self.worker_id,
                    self._settings.queue,
                    size=self._settings.chunk_items,
                    lease_seconds=self._settings.lease_seconds,
                    kinds=kinds,
                )
            if chunk is None:
                return
            self._pulse.hold(chunk.attempt_id)
            self._pulse.tally.claimed()
            tracer().record("claim", chunk.job_id, began, attempt=chunk.attempt_id, items=len(chunk.items))
            tracer().took_up(chunk)
            with at_work_on(chunk):
                log.info("claimed", token=chunk.token, items=len(chunk.items))
                if isinstance(chunk, ProgramChunk):
                    self._start_program(chunk)
                elif isinstance(chunk, PrepareChunk):
                    self._prepare(chunk)
                else:
                    self._pulse.moved(f"opening a chunk of {chunk.job_id}")
                    self._start(chunk)

    def _kinds_wanted(self) -> list[str]:
        """Kinds of jobs there is room for now."""
        at = time.monotonic()
        if self._pulse.draining or at < self._not_before:
            return []
        kinds: list[str] = []
        if len(self._open) + len(self._preparing) < OPEN_CHUNKS and self._line.waiting < 2 * BATCH:
            kinds += _SHARED_KINDS
        if not self._programs and at >= self._no_program_before:
            kinds += PROGRAM_KINDS
        return kinds

    def _start(self, chunk: InferChunk) -> None:
        try:
            model = self._models.get(chunk.model_version_id)
        except (ModelError, VoicesketchError) as error:
            self._fail_to_start(chunk, error)
            return
        self._open.append(self._line.start(chunk, model))

    def _prepare(self, chunk: PrepareChunk) -> None:
        def why_stop() -> str | None:
            if self._pulse.must_stop(chunk.attempt_id):
                return _CANCELLED
            return _LEAVING if self._pulse.leaving else None

        # With what is bound for the log.
        here = copy_context()
        work = self._preparer.submit(
            here.run, self._dataset_work.carry_out, chunk, why_stop, self._pulse.moved
        )
        self._preparing[work] = chunk

    def _end_preparations(self) -> None:
        for work in [work for work in self._preparing if work.done()]:
            chunk = self._preparing.pop(work)
            tracer().let_go(chunk, "ended")
            self._pulse.let_go(chunk.attempt_id)
            if work.result():
                self._failures = 0
            else:
                self._count_failure()

    def _start_program(self, chunk: ProgramChunk) -> None:
        def why_stop() -> Why | None:
            if self._pulse.must_stop(chunk.attempt_id):
                return self._why_stopped(chunk)
            return "leaving" if self._pulse.leaving or self._closing else None

        work = self._supervising.submit(copy_context().run, self._program_work.carry_out, chunk, why_stop)
        self._programs[work] = chunk

    def _why_stopped(self, chunk: ProgramChunk) -> Why:
        try:
            with self._database.read() as session:
                return "cancelled" if is_mine(session, chunk) else "lost"
        except SQLAlchemyError:
            return "cancelled"  # the fence keeps a program of somebody else's from publishing

    def _end_programs(self) -> None:
        for work in [work for work in self._programs if work.done()]:
            chunk = self._programs.pop(work)
            tracer().let_go(chunk, "ended")
            self._pulse.let_go(chunk.attempt_id)
            if work.result():
                self._program_failures = 0
            else:
                # Drawing goes on meanwhile, and finds out for itself whether its surroundings work.
                self._program_failures += 1
                pause = min(LONGEST_BACKOFF_SECONDS, 2.0**self._program_failures)
                self._no_program_before = time.monotonic() + pause

    def _fail_to_start(self, chunk: InferChunk, error: ModelError | VoicesketchError) -> None:
        log.error("no model", code=error.code, error=error.message)
        with self._database.write() as session:
            if isinstance(error, Retryable):
                release(session, chunk.attempt_id, reason=error.message)
            else:
                # The log has the details; they name folders of this machine, which are nobody else's business.
                message = "The model cannot be used here: its files are damaged or do not fit this version."
                publish_outcomes(
                    session,
                    chunk,
                    [CouldNotDraw(item.id, error.code, message, 0.0) for item in chunk.items],
                )
        self._pulse.let_go(chunk.attempt_id)
        if isinstance(error, Retryable):
            self._count_failure()

    def _stop_what_must(self) -> None:
        """Drops what nobody wants any more: cancelled jobs, claims that were taken away, a worker that leaves."""
        for one in self._open:
            if one.given_up is None and self._pulse.must_stop(one.chunk.attempt_id):
                one.given_up = _CANCELLED
            if one.given_up is None and self._pulse.leaving:
                one.given_up = _LEAVING
        self._line.drop_given_up()

    def _publish(self) -> None:
        for one in list(self._open):
            ended = one.left == 0
            due = time.monotonic() - one.published_at >= PUBLISH_SECONDS
            if not ended and not (due and one.outcomes):
                continue
            try:
                if one.outcomes:
                    with (
                        tracer().span("publish", one.chunk, items=len(one.outcomes)),
                        self._database.write() as session,
                    ):
                        unneeded = publish_outcomes(session, one.chunk, one.outcomes)
                        # Since it was taken up, or since anything was last published: nothing is counted twice.
                        until = time.monotonic()
                        spent = until - max(one.published_at, self._charged_until)
                        charge(session, one.chunk.job_id, self._device, spent)
                    self._pulse.tally.ended(_how_they_ended(one.outcomes))
                    one.outcomes = []
                    one.published_at = time.monotonic()
                    self._charged_until = until
                    self._failures = 0
                    for key in unneeded:
                        self._store.delete(key)
            except LeaseLost:
                with at_work_on(one.chunk):
                    log.warning("lost", token=one.chunk.token)
                self._pulse.tally.lost()
                one.given_up = "it was lost"
                self._line.drop_given_up()
                self._forget(one)
                continue
            if ended:
                self._close_chunk(one)

    def _close_chunk(self, one: OpenChunk) -> None:
        if one.given_up is not None:
            self._let_go(one.chunk, one.given_up)
            if one.given_up not in (_CANCELLED, _LEAVING):
                self._count_failure()
        else:
            with at_work_on(one.chunk):
                log.info("finished", token=one.chunk.token)
        self._forget(one)

    def _let_go(self, chunk: Chunk, reason: str) -> None:
        try:
            with self._database.write() as session:
                given_back = release(session, chunk.attempt_id, reason=reason)
            with at_work_on(chunk):
                log.info("released", token=chunk.token, items=given_back, reason=reason)
        except LeaseLost:
            pass  # all of it was published, or somebody else has it now

    def _forget(self, one: OpenChunk) -> None:
        self._open.remove(one)
        tracer().let_go(one.chunk, one.given_up or "finished")
        self._pulse.let_go(one.chunk.attempt_id)

    def _count_failure(self) -> None:
        self._failures += 1
        self._not_before = time.monotonic() + min(LONGEST_BACKOFF_SECONDS, 2.0**self._failures)

    def _wait_out_failures(self) -> None:
        """The store or the like is away: claiming at once would only fail again."""
        while not (self._open or self._programs or self._pulse.draining) and (
            time.monotonic() < self._not_before
        ):
            self._pulse.moved("waiting for the object store")
            time.sleep(0.2)


def _device_in_use(wanted: str) -> str:
    """What `auto` comes to here. A device that there is not is told when something is to run on it."""
    try:
        return str(choose_device(wanted))
    except ModelError:
        return wanted


def _how_they_ended(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, float]]:
    """As `Tally.ended` takes them."""
    for outcome in outcomes:
        if isinstance(outcome, AlreadyDrawn):
            yield ItemState.CACHED.value, 0.0
        else:
            state = ItemState.DONE if isinstance(outcome, Drawn) else ItemState.FAILED
            yield state.value, outcome.seconds
