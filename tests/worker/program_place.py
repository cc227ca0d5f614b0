"""A place with a dataset and networks in its ledger, and programs that do what a test wants of them."""

from __future__ import annotations

import hashlib
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from core.config import Settings
from core.ledger.tables import DatasetVersion, Item, Job
from core.ledger.training_tables import JobFile, LogLine, Measurement, TrainingProgress
from core.models.registry import register_model
from core.people.accounts import Role
from core.training.jobs import create_program_job
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec
from tests.datasets import enter_dataset, put_files
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.place import Place

# What every made-up program begins with.
_BEGIN = """
import json, os, pathlib, signal, subprocess, sys, time
run = pathlib.Path(sys.argv[1])
request = json.loads((run / "request.json").read_text())

def tell(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)

def leave(name, content, kind, step=None):
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    tell("file", kind=kind, name=name, step=step)

def end(**result):
    tell("ended", outcome="completed", result=result)
"""


class ProgramPlace(Place):
    """`people@1` is a dataset, `vgg_face`, `face_decoder` and the like are networks in small sizes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings)
        self.folder = folder
        self.programs: dict[str, Sequence[str]] = {}
        self.owner = self.ledger.user("olga", Role.OPERATOR).id
        self._networks: dict[str, Path] = {}

    def write_program(self, kind: str, body: str) -> None:
        """What is run for jobs of a kind; the body may use `run`, `request`, `tell`, `leave` and `end`."""
        path = self.folder / f"{kind}_program.py"
        path.write_text(_BEGIN + textwrap.dedent(body))
        self.programs[kind] = (sys.executable, str(path))

    def add_dataset(
        self, files: Mapping[str, bytes] | None = None, summary: Mapping[str, Any] | None = None
    ) -> str:
        """A version of `people` with these files in the store; answers its label."""
        contents = {"dataset.json": b"{}", "shards/00000.tar": b"a shard", **(files or {})}
        rows = put_files(self.store, contents)
        sha256 = hashlib.sha256(contents["dataset.json"]).hexdigest()
        with self.database.write() as session:
            count = len(session.scalars(select(DatasetVersion)).all())
            entered = enter_dataset(
                session, self.owner, version=count + 1, sha256=sha256, files=rows, summary=summary
            )
        return entered.label

    def add_networks(self, *names: str) -> dict[str, Path]:
        """Registers small networks under their kind; answers all there are, as folders."""
        if not self._networks:
            self._networks = save_small_networks(self.folder / "networks")
        for name in names:
            register_model(self.database, self.store, self._networks[name], name=name)
        return self._networks

    def start(self, spec: TrainSpec | EvaluateSpec | AnalyseSpec) -> str:
        with self.database.write() as session:
            return create_program_job(session, owner_id=self.owner, spec=spec).id

    def work(self) -> None:
        from worker.runner import Runner

        runner = Runner(self.settings, programs=self.programs)
        try:
            runner.run_until_idle()
        finally:
            runner.close()

    def job(self, job_id: str) -> Job:
        return self.ledger.get(job_id)

    def steps(self, job_id: str) -> list[Item]:
        return self.ledger.items(job_id)

    def files(self, job_id: str) -> dict[str, JobFile]:
        with self.database.read() as session:
            rows = session.scalars(select(JobFile).where(JobFile.job_id == job_id))
            return {row.name: row for row in rows}

    def content(self, job_id: str, name: str) -> bytes:
        return self.store.get(self.files(job_id)[name].object_key)

    def log(self, job_id: str) -> list[str]:
        with self.database.read() as session:
            query = select(LogLine.text).where(LogLine.job_id == job_id).order_by(LogLine.id)
            return list(session.scalars(query))

    def progress(self, job_id: str) -> TrainingProgress | None:
        with self.database.read() as session:
            return session.get(TrainingProgress, job_id)

    def points(self, job_id: str) -> dict[tuple[str, int], float]:
        with self.database.read() as session:
            rows = session.scalars(select(Measurement).where(Measurement.job_id == job_id))
            return {(row.series, row.step): row.value for row in rows}
