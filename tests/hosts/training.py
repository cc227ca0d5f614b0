"""A small dataset for many hosts, and trainings on it: by one worker alone, or by one that another host follows."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load
from sqlalchemy import select

from core.ledger.tables import Attempt
from core.ledger.training_tables import JobFile
from core.people.accounts import ensure_admin
from core.training.jobs import create_program_job
from tests import datasets
from tests.hosts.place import Place
from tests.worker.training.made_up import make, spec
from tests.worker.training.running import recipe

LEADER, FOLLOWER = "worker-1", "worker-2"
QUEUE = "gpu-2-hosts"
LEADS, FOLLOWS = "worker of the pair", "follower"


def enter_dataset(place: Place) -> None:
    """Has `people@1` be a dataset of people that never were."""
    made = make(place.folder / "made up").dataset
    paths = sorted(path for path in made.rglob("*") if path.is_file() and ".progress" not in path.parts)
    files = datasets.put_files(
        place.store, {path.relative_to(made).as_posix(): path.read_bytes() for path in paths}
    )
    sha256 = hashlib.sha256((made / "dataset.json").read_bytes()).hexdigest()
    with place.ledger() as database, database.write() as session:
        datasets.enter_dataset(session, ensure_admin(session).id, sha256=sha256, files=files)


def start_pair(place: Place) -> None:
    """A worker of a queue of its own, and a host that follows it."""
    worker = ["celery", "-A", "worker.app", "worker", "-Q", QUEUE, "-n", "pair@%h", "--loglevel", "INFO"]
    place.start("worker", LEADER, name=LEADS, command=worker, more={"VOICESKETCH_QUEUE": QUEUE})
    start_follower(place)


def start_follower(place: Place) -> None:
    follows = [sys.executable, "-m", "worker.follow", LEADER, "--number", "1"]
    place.start("worker", FOLLOWER, name=FOLLOWS, command=follows)


def train(place: Place, *, hosts: int, epochs: int = 4) -> str:
    """Starts a training; answers its job."""
    wanted = spec(
        recipe("matching", augmentation={"noise_db": 20}, loop={"epochs": epochs, "batch": 8}),
        machine={"hosts": hosts, "sample_pictures": 0, "log_steps": 1},
        after={"evaluate": False, "gate": None},
    )
    with place.ledger() as database, database.write() as session:
        owner = ensure_admin(session).id
        return create_program_job(
            session, owner_id=owner, spec=wanted, queue=QUEUE if hosts == 1 else "gpu"
        ).id


def checkpoints(place: Place, job_id: str) -> int:
    with place.ledger() as database, database.read() as session:
        rows = session.scalars(select(JobFile).where(JobFile.job_id == job_id, JobFile.kind == "checkpoint"))
        return len(rows.all())


def attempts(place: Place, job_id: str) -> int:
    return len(reasons(place, job_id))


def reasons(place: Place, job_id: str) -> list[str | None]:
    """Of each attempt at a job, why it ended, if it did."""
    with place.ledger() as database, database.read() as session:
        rows = session.scalars(select(Attempt.reason).where(Attempt.job_id == job_id))
        return list(rows.all())


def learnt(place: Place, job_id: str) -> Mapping[str, torch.Tensor]:
    """All weights of the models that a training left."""
    with place.ledger() as database, database.read() as session:
        rows = session.scalars(select(JobFile).where(JobFile.job_id == job_id, JobFile.kind == "model")).all()
    files = [row for row in rows if Path(row.name).suffix == ".safetensors"]
    return {
        f"{row.name} {name}": tensor
        for row in files
        for name, tensor in load(place.store.get(row.object_key)).items()
    }
