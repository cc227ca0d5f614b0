"""A running stack with its ledger in view: submit like a user, look like an auditor, break things like bad luck."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import func, select

from core.client import Client
from core.client_views import JobView
from core.ledger.database import Database
from core.ledger.tables import Artifact, Attempt, Drawing, Item, Job, Transition, Worker
from core.service import find_service
from core.specs import InferSpec
from core.stack.launch import RunningStack, running_stack
from core.states import ITEM_FINAL, ITEM_WITH_FACE, AttemptState
from core.submitting.submission import submit

PATIENCE_SECONDS = 120.0


@dataclass
class House:
    """One data folder and the stack on it."""

    data: Path
    environ: Mapping[str, str]
    module: str = "core.stack"
    stack: RunningStack | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    @classmethod
    @contextmanager
    def open(cls, data: Path, environ: Mapping[str, str], module: str = "core.stack") -> Iterator[House]:
        house = cls(data, environ, module)
        house.start()
        try:
            yield house
        finally:
            house.stop()

    def start(self) -> None:
        self.stack = self._open.enter_context(
            running_stack(self.data, environ=self.environ, module=self.module)
        )

    def stop(self) -> None:
        self._open.close()

    @property
    def client(self) -> Client:
        return find_service(data=self.data)

    @property
    def running(self) -> RunningStack:
        assert self.stack is not None
        return self.stack

    @contextmanager
    def ledger(self) -> Iterator[Database]:
        elsewhere = self.environ.get("LEDGER_ELSEWHERE")
        database = Database(elsewhere or f"sqlite+pysqlite:///{self.running.folder.ledger}")
        try:
            yield database
        finally:
            database.dispose()

    def submit(self, paths: Sequence[Path], name: str = "") -> JobView:
        return submit(self.client, paths, name=name)[0]

    def wait_for(self, job_id: str, reached: Callable[[JobView], bool]) -> JobView:
        """Looks at a job, often, until it is as wished."""
        client, deadline = self.client, time.monotonic() + PATIENCE_SECONDS
        while not reached(job := client.job(job_id)):
            assert time.monotonic() < deadline, f"waited in vain: {job}"
            time.sleep(0.02)
        return job

    def wait_for_faces(self, job_id: str, at_least: int) -> JobView:
        return self.wait_for(job_id, lambda job: job.with_face >= at_least)

    # -- bad luck

    def kill_who_draws(self, job_id: str) -> int:
        """`kill -9` for the very process that holds a claim on the job; answers its number."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self.ledger() as database:
            while time.monotonic() < deadline:
                with database.read() as session:
                    pid = session.scalar(
                        select(Worker.pid)
                        .join(Attempt, Attempt.worker_id == Worker.id)
                        .where(Attempt.job_id == job_id, Attempt.state == AttemptState.ACTIVE)
                        .limit(1)
                    )
                if pid is not None and psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
                    return int(pid)
                time.sleep(0.005)
        raise AssertionError("nobody claimed anything of the job")

    def kill_program(self, name: str) -> None:
        """`kill -9` for one program of the stack, and nothing else; one that died a moment ago is waited for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (child := self.running.record().children.get(name)) is None or not child.is_this_one():
            assert time.monotonic() < deadline, f"the {name} does not come back"
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)

    def kill_everything(self) -> None:
        """As a power cut would: every process of the stack at once, the supervisor first.

        Its guardian is at the same work, so that any of them may be gone already.
        """
        record = self.running.record()
        self.running.supervisor.kill()
        family: list[psutil.Process] = []
        for child in record.children.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                above = psutil.Process(child.pid)
                family += [above, *above.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._open.close()


@dataclass(frozen=True)
class Audit:
    """What the ledger says of one job, counted from its rows and not from its counters."""

    items: int
    final: int
    with_face: int
    final_moves: Counter[int]  # for each item, how often it came to an end
    drawings: Counter[str]  # for each recording of the job, its published faces
    attempts: Counter[str]
    states: Counter[str]

    @property
    def each_ended_once(self) -> bool:
        return len(self.final_moves) == self.items and set(self.final_moves.values()) == {1}

    @property
    def each_drawn_once(self) -> bool:
        return set(self.drawings.values()) == {1}


def audit(database: Database, job_id: str) -> Audit:
    with database.read() as session:
        items = session.execute(
            select(Item.id, Item.state, Item.recording_sha256).where(Item.job_id == job_id)
        ).all()
        final_moves = session.execute(
            select(Transition.item_id, func.count())
            .where(
                Transition.job_id == job_id,
                Transition.item_id.is_not(None),
                Transition.new.in_([state.value for state in ITEM_FINAL]),
            )
            .group_by(Transition.item_id)
        ).all()
        job = session.get_one(Job, job_id)
        drawings = session.execute(
            select(Drawing.recording_sha256, func.count())
            .join(Artifact, Artifact.id == Drawing.face_id)
            .where(
                Drawing.recording_sha256.in_({row.recording_sha256 for row in items}),
                Drawing.model_version_id == job.model_version_id,
                Drawing.parameters_sha256 == InferSpec.model_validate(job.spec).parameters_sha256(),
            )
            .group_by(Drawing.recording_sha256)
        ).all()
        attempts = session.execute(
            select(Attempt.state, func.count()).where(Attempt.job_id == job_id).group_by(Attempt.state)
        ).all()
    return Audit(
        items=len(items),
        final=sum(row.state in ITEM_FINAL for row in items),
        with_face=sum(row.state in ITEM_WITH_FACE for row in items),
        final_moves=Counter({row[0]: row[1] for row in final_moves if row[0] is not None}),
        drawings=Counter({row[0]: row[1] for row in drawings}),
        attempts=Counter({state.value: count for state, count in attempts}),
        states=Counter(row.state.value for row in items),
    )
