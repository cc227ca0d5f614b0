"""What tests of the registry need: model versions with files, datasets, jobs at work, and evaluations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.jobs import enter_job
from core.ledger.database import now
from core.ledger.tables import Attempt, DatasetVersion, Job, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.evaluations import enter_evaluation
from core.models.registry import register_model, register_trained
from core.specs import PrepareSpec
from core.states import AttemptState
from core.store import Store
from core.training.specs import EvaluateSpec, TrainSpec
from tests.factories import Ledger

# For what does not depend on the database.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIZES = {"embedding_length": 8, "embedding_space": "somewhere"}


def write_model(folder: Path, weights: bytes, *, kind: str = "speech_to_face", **more: Any) -> Path:
    """A model's folder; what the weights are does not matter here."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"kind": kind, "weights_sha256": hashlib.sha256(weights).hexdigest(), **more}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def metric(
    value: float, low: float | None = None, high: float | None = None, better: str = "higher"
) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "count": 100, "better": better, "chance": 0.5}


@dataclass
class Registry:
    """A registry with short words for what tests do all the time."""

    ledger: Ledger
    store: Store
    folder: Path

    def model(self, name: str, weights: bytes = b"weights", **config: Any) -> ModelVersion:
        folder = write_model(self.folder / f"{name}-{weights.hex()[:16]}", weights, **config)
        return register_model(self.ledger.database, self.store, folder, name=name)

    def halves(self) -> tuple[ModelVersion, ModelVersion]:
        """An encoder of voices and a decoder that fit."""
        ears = self.model("ears", b"ears", kind="ve_conv", part="encoder", input="voice", config=SIZES)
        hand = self.model("hand", b"hand", kind="face_decoder", part="decoder", config=SIZES)
        return ears, hand

    def trained(self, name: str, weights: bytes, **more: Any) -> ModelVersion:
        folder = write_model(self.folder / f"trained-{weights.hex()[:16]}", weights)
        values: dict[str, Any] = {
            "job_id": "job_1",
            "parent_id": None,
            "dataset_version_id": None,
            "lineage": {"spec": {"kind": "train"}},
        }
        return register_trained(self.ledger.database, self.store, folder, name=name, **{**values, **more})

    def job(self, spec: TrainSpec | EvaluateSpec | PrepareSpec) -> Job:
        """A job that waits."""
        with self.ledger.database.write() as session:
            return enter_job(
                session,
                spec=spec,
                owner_id=self.ledger.user().id,
                name="a job",
                queue="gpu",
                priority=0,
                model_version_id=None,
                idempotency_key=None,
                at=now(session),
            )

    def dataset(self, name: str = "clips", version: int = 1) -> DatasetVersion:
        job = self.job(PrepareSpec(dataset=name, plan_sha256="0" * 64))
        with self.ledger.database.write() as session:
            held = session.get(Job, job.id)
            assert held is not None
            held.finished_at = now(session)
            dataset = DatasetVersion(
                id=f"dataset_{name}_{version}",
                name=name,
                version=version,
                sha256=hashlib.sha256(f"{name}{version}".encode()).hexdigest(),
                owner_id=job.owner_id,
                job_id=job.id,
                files=[],
                summary={
                    "people": 200,
                    "by_split": {"train": {"people": 160, "voices": 300, "faces": 200}},
                },
                created_at=now(session),
            )
            session.add(dataset)
            return dataset

    def attempt(self, job: Job) -> Attempt:
        worker = self.ledger.worker()
        with self.ledger.database.write() as session:
            at = now(session)
            held = session.get(Job, job.id)
            assert held is not None
            held.token += 1
            attempt = Attempt(
                id=f"attempt_{job.id}_{held.token}",
                job_id=job.id,
                token=held.token,
                worker_id=worker,
                state=AttemptState.ACTIVE,
                items=1,
                progress_at=at,
                lease_until=at,
                heartbeat_at=at,
                started_at=at,
            )
            session.add(attempt)
            return attempt

    def evaluation(
        self,
        version: ModelVersion,
        dataset: DatasetVersion,
        metrics: Mapping[str, Any],
        **conditions: Any,
    ) -> Evaluation:
        spec = EvaluateSpec(model=version.label, dataset=dataset.label, **conditions)
        job = self.job(spec)
        attempt = self.attempt(job)
        with self.ledger.database.write() as session:
            found = enter_evaluation(
                session,
                attempt_id=attempt.id,
                version=version,
                dataset=dataset,
                spec=spec,
                metrics=metrics,
            )
            held = session.get(Job, job.id)
            assert held is not None
            held.finished_at = now(session)
            return found
