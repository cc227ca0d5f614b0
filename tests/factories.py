"""Things that tests need, made with sane defaults; a test states only what it is about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from core.claims.chunks import InferChunk
from core.claims.leases import claim_chunk
from core.claims.results import CouldNotDraw, Drawn, Outcome, publish_outcomes
from core.claims.workers import register_worker
from core.identifiers import new_id
from core.jobs import create_job
from core.ledger.database import Database, now
from core.ledger.tables import (
    Attempt,
    DatasetVersion,
    Item,
    Job,
    ModelVersion,
    Recording,
    RecordingOwner,
    Transition,
    User,
)
from core.ledger.training_tables import Evaluation
from core.objects import StoredObject, face_key, recording_key, spectrogram_key
from core.people.accounts import Role, create_user
from core.specs import InferSpec, NewItem
from core.states import AttemptState, ItemState, JobState
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec
from tests.programs import Program, enter_running_job, finish_job

ALL_FEATURES = ("ve_conv", "ast", "waveform", "picture", "landmarks", "embedding")


class FakeDoorbell:
    """Remembers what was rung; `broken` makes it refuse like a broker that is away."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.broken: Exception | None = None

    def ring(self, queue: str) -> None:
        if self.broken is not None:
            raise self.broken
        self.rung.append(queue)


@dataclass
class Ledger:
    """A ledger with users, a model and workers, and short words for what tests do all the time."""

    database: Database
    users: dict[str, User] = field(default_factory=dict)

    def user(self, name: str = "ada", role: Role = Role.SUBMITTER) -> User:
        if name not in self.users:
            with self.database.write() as session:
                self.users[name] = create_user(session, name, role)
        return self.users[name]

    def model(self, name: str = "default", version: int = 1) -> ModelVersion:
        with self.database.write() as session:
            found = session.scalar(
                select(ModelVersion).where(ModelVersion.name == name, ModelVersion.version == version)
            )
            if found is None:
                found = ModelVersion(
                    id=f"model_{name}_{version}",
                    name=name,
                    version=version,
                    sha256=hashlib.sha256(f"{name}{version}".encode()).hexdigest(),
                    files=[],
                    config={},
                    created_at=now(session),
                )
                session.add(found)
            return found

    def recordings(self, count: int, owner: str = "ada", prefix: str = "") -> list[str]:
        """Rows of recordings that `owner` has sent; the objects themselves are not needed by the ledger."""
        hashes = [hashlib.sha256(f"{prefix}{number}".encode()).hexdigest() for number in range(count)]
        user = self.user(owner)
        with self.database.write() as session:
            at = now(session)
            for sha256 in hashes:
                if session.get(Recording, sha256) is None:
                    session.add(
                        Recording(
                            sha256=sha256,
                            object_key=recording_key(sha256),
                            size_bytes=1000,
                            media_type="audio/wav",
                            created_at=at,
                        )
                    )
            session.flush()
            for sha256 in hashes:
                if session.get(RecordingOwner, (sha256, user.id)) is None:
                    session.add(RecordingOwner(sha256=sha256, owner_id=user.id, created_at=at))
        return hashes

    def job(self, count: int = 4, *, owner: str = "ada", prefix: str = "", priority: int = 0) -> str:
        """A queued job over that many recordings; answers its id."""
        self.model()
        items = [
            NewItem(key=f"item-{number}", name=f"voice {number}.wav", recording=sha256)
            for number, sha256 in enumerate(self.recordings(count, owner, prefix))
        ]
        with self.database.write() as session:
            return create_job(
                session,
                owner_id=self.user(owner).id,
                spec=InferSpec(model="default"),
                items=items,
                priority=priority,
            ).id

    def dataset(
        self, name: str = "people", version: int = 1, *, owner: str = "ada", features: tuple[str, ...] = ()
    ) -> DatasetVersion:
        """A prepared dataset of six people; its files are not in the store. It has everything unless told otherwise."""
        with self.database.write() as session:
            job_id = enter_running_job(
                session, "prepare", self.user(owner).id, {"kind": "prepare", "dataset": name}
            )
            finish_job(session, job_id, JobState.COMPLETED)
            made = DatasetVersion(
                id=f"dataset_{name}_{version}",
                name=name,
                version=version,
                sha256=hashlib.sha256(f"{name}{version}".encode()).hexdigest(),
                owner_id=self.user(owner).id,
                job_id=job_id,
                files=[],
                summary={
                    "people": 6,
                    "features": list(features or ALL_FEATURES),
                    "by_split": {split: {"people": 2} for split in ("train", "validation", "test")},
                },
                created_at=now(session),
            )
            session.add(made)
        return made

    def program(
        self, spec: TrainSpec | EvaluateSpec | AnalyseSpec, *, owner: str = "ada", name: str = ""
    ) -> Program:
        """A job that is a program, already claimed and running."""
        with self.database.write() as session:
            job_id = enter_running_job(
                session, spec.kind, self.user(owner).id, spec.model_dump(mode="json"), name=name
            )
        return self.takes_up(job_id)

    def takes_up(self, job_id: str) -> Program:
        """A worker has taken up a job whose work is a program."""
        with self.database.write() as session:
            at = now(session)
            attempt = Attempt(
                id=new_id("attempt"),
                job_id=job_id,
                token=1,
                worker_id=register_worker(session, queue="gpu", device="cpu"),
                state=AttemptState.ACTIVE,
                items=1,
                progress_at=at,
                lease_until=at + timedelta(hours=1),
                heartbeat_at=at,
                started_at=at,
            )
            session.add(attempt)
            job = session.get(Job, job_id)
            assert job is not None
            if job.state is JobState.QUEUED:
                first = session.scalars(
                    select(Item).where(Item.job_id == job_id).order_by(Item.position)
                ).first()
                assert first is not None
                first.state, first.attempt_id, first.token = ItemState.LEASED, attempt.id, 1
                job.state, job.started_at, job.token = JobState.RUNNING, at, 1
                job.pending, job.leased = job.pending - 1, 1
                session.add(
                    Transition(job_id=job_id, old="queued", new="running", actor="worker", at=at, token=1)
                )
        return Program(self.database, job_id, attempt.id)

    def training(self, *, owner: str = "ada", name: str = "", task: str = "ve_conv", **spec: Any) -> Program:
        """A training of VE_conv that is running."""
        return self.program(
            TrainSpec.model_validate(
                {"model": "voices", "dataset": "people@1", "recipe": {"task": task}, **spec}
            ),
            owner=owner,
            name=name,
        )

    def evaluation(
        self,
        program: Program,
        model: ModelVersion,
        dataset: DatasetVersion,
        metrics: dict[str, Any],
        split: str = "test",
    ) -> str:
        with self.database.write() as session:
            made = Evaluation(
                id=new_id("eval"),
                model_version_id=model.id,
                dataset_version_id=dataset.id,
                spec_sha256=hashlib.sha256(program.job_id.encode()).hexdigest(),
                split=split,
                job_id=program.job_id,
                metrics=metrics,
                created_at=now(session),
            )
            session.add(made)
        return made.id

    def worker(self) -> str:
        with self.database.write() as session:
            return register_worker(session, queue="gpu", device="cpu")

    def claim(self, worker_id: str, size: int = 32, lease_seconds: float = 60.0) -> InferChunk:
        chunk = self.try_claim(worker_id, size, lease_seconds)
        assert chunk is not None, "nothing could be claimed"
        return chunk

    def try_claim(self, worker_id: str, size: int = 32, lease_seconds: float = 60.0) -> InferChunk | None:
        with self.database.write() as session:
            chunk = claim_chunk(session, worker_id, "gpu", size=size, lease_seconds=lease_seconds)
            assert chunk is None or isinstance(chunk, InferChunk)
            return chunk

    def publish(self, chunk: InferChunk, outcomes: list[Outcome] | None = None) -> list[str]:
        """Publishes a face for every item of the chunk, unless told otherwise."""
        wanted = (
            [drawn(chunk, number) for number in range(len(chunk.items))] if outcomes is None else outcomes
        )
        with self.database.write() as session:
            return publish_outcomes(session, chunk, wanted)

    def get(self, job_id: str) -> Job:
        with self.database.read() as session:
            job = session.get(Job, job_id)
            assert job is not None
            return job

    def items(self, job_id: str) -> list[Item]:
        with self.database.read() as session:
            return list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)))

    def counted(self, job_id: str) -> dict[str, int]:
        """Items by state as the rows say, to hold against the counters of the job."""
        with self.database.read() as session:
            rows = session.execute(
                select(Item.state, func.count()).where(Item.job_id == job_id).group_by(Item.state)
            )
            found = {ItemState(state).value: count for state, count in rows}
        return {state.value: found.get(state.value, 0) for state in ItemState}

    def counters(self, job_id: str) -> dict[str, int]:
        job = self.get(job_id)
        return {state.value: getattr(job, state.value) for state in ItemState}


def drawn(chunk: InferChunk, number: int) -> Drawn:
    item = chunk.items[number]
    return Drawn(
        item_id=item.id,
        recording_sha256=item.recording_sha256,
        face=StoredObject("face", face_key(chunk.job_id, chunk.token, item.id), "image/png", 10, "0" * 64),
        spectrogram=StoredObject(
            "spectrogram", spectrogram_key(chunk.job_id, chunk.token, item.id), "image/png", 10, "1" * 64
        ),
        seconds=0.1,
        duration_seconds=2.0,
    )


def could_not(chunk: InferChunk, number: int, code: str = "no_speech") -> CouldNotDraw:
    return CouldNotDraw(chunk.items[number].id, code, "Nothing can be heard in this recording.", 0.1)
