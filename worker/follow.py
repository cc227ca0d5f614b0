"""Lends a host to the trainings of a worker elsewhere: `python -m worker.follow LEADER --number 1`.

It claims nothing. Whenever the worker on LEADER holds a training of several hosts, this one brings dataset and models
onto its own disk and starts its part of the processes; when the attempt is over, whatever the reason, they end. Nothing
of what is learnt is kept here: events, checkpoints and the model are the leader's (docs/training.md).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings, load_settings
from core.errors import VoicesketchError
from core.ledger.database import Database
from core.ledger.tables import Attempt, Item, Job, Worker
from core.states import AttemptState, ItemState
from core.store import Store
from core.training.jobs import TRAINING
from core.training.requests import model_references
from core.training.specs import TrainSpec
from core.watching.logs import at_work_on, set_up_logs
from worker.program_inputs import ProgramInputs, Stopped
from worker.program_work import PROGRAMS, environment_of_programs
from worker.supervisor import Limits, Supervisor, Why

log = structlog.get_logger()

LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Led:
    """A training that the leader is at."""

    attempt_id: str
    job_id: str
    spec: dict[str, Any]


class Follower:
    """One host of a group. Its number is fixed, as its place in the group is.

    Args:
        leader: the host name of the leading worker, as it says it.
        number: of this host in the group, from 1.
        address: where the leader is reached, if not by that name.
    """

    def __init__(self, settings: Settings, leader: str, number: int, address: str | None = None) -> None:
        self._settings, self._leader, self._number = settings, leader, number
        self._address = address or leader
        self._database = Database(settings.database_url)
        self._inputs = ProgramInputs(settings, self._database, Store(settings))
        self._leaving = threading.Event()

    def leave(self) -> None:
        """Ends soon; a training under way leaves a checkpoint and waits for somebody else."""
        self._leaving.set()

    def run(self) -> None:
        """Until `leave`."""
        followed = ""
        while not self._leaving.wait(LOOK_SECONDS):
            try:
                led = self._look()
                if led is None or led.attempt_id == followed:
                    continue
                with at_work_on(led):
                    self._follow(led)
                followed = led.attempt_id
            except (VoicesketchError, SQLAlchemyError, OSError) as error:
                log.warning("cannot follow", leader=self._leader, error=str(error).splitlines()[0])
            except Stopped:
                continue
        self._database.dispose()

    def _look(self) -> Led | None:
        """What the leader is at, if it wants this host for it."""
        with self._database.read() as session:
            rows = session.execute(
                select(Attempt.id, Job.id, Job.spec)
                .join(Worker, Worker.id == Attempt.worker_id)
                .join(Job, Job.id == Attempt.job_id)
                .join(Item, Item.attempt_id == Attempt.id)
                .where(
                    Attempt.state == AttemptState.ACTIVE,
                    Worker.host.startswith(f"{self._leader}/", autoescape=True),
                    Job.kind == "train",
                    Item.state == ItemState.LEASED,
                    Item.stage == TRAINING,
                )
                .order_by(Attempt.started_at)
            ).all()
        for attempt_id, job_id, spec in rows:
            if spec.get("machine", {}).get("hosts", 1) > self._number:
                return Led(attempt_id, job_id, spec)
        return None

    def _follow(self, led: Led) -> None:
        log.info("follows", leader=self._leader)
        watch = _Watch(self._database, led.attempt_id)
        watch.start()

        def why_stop() -> Why | None:
            return "leaving" if self._leaving.is_set() else "lost" if watch.is_over.is_set() else None

        try:
            spec = TrainSpec.model_validate(led.spec)
            dataset, folder = self._inputs.dataset(spec.dataset, why_stop)
            _, models = self._inputs.models(model_references(spec), why_stop)
            with tempfile.TemporaryDirectory(prefix="voicesketch-follow-") as name:
                run = Path(name)
                request = {
                    "spec": spec.model_dump(mode="json"),
                    "dataset": str(folder),
                    "dataset_sha256": dataset.sha256,
                    "models": {label: str(path) for label, path in models.items()},
                    "device": self._settings.device,
                }
                (run / "request.json").write_text(json.dumps(request, indent=2) + "\n")
                end = Supervisor(
                    [*PROGRAMS["train"], "--leader", self._address, "--number", str(self._number), str(run)],
                    folder=run,
                    environment=environment_of_programs(),
                    # Only the leader's first process says how it goes on.
                    limits=Limits(silent_seconds=float("inf")),
                    why_stop=why_stop,
                    on_event=lambda event: log.info("told", event_told=repr(event)),
                    on_line=lambda line: log.info("said", line=line),
                ).run()
                why = end.failed.message if end.failed is not None else end.sentence
                log.info("followed", how=end.how, reason=why)
        finally:
            watch.stop()
            self._inputs.release()


class _Watch:
    """Whether an attempt is over. A ledger that is away says nothing about it."""

    def __init__(self, database: Database, attempt_id: str) -> None:
        self._database, self._attempt_id = database, attempt_id
        self.is_over, self._enough = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._enough.wait(LOOK_SECONDS):
            try:
                with self._database.read() as session:
                    state = session.scalar(select(Attempt.state).where(Attempt.id == self._attempt_id))
            except SQLAlchemyError:
                continue
            if state is not AttemptState.ACTIVE:
                self.is_over.set()
                return


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow until SIGTERM or Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.follow", description="Lend this host to the trainings of a worker elsewhere."
    )
    parser.add_argument(
        "leader", metavar="LEADER", help="host name of the leading worker, as `hostname` says it there"
    )
    parser.add_argument(
        "--number", type=int, default=1, help="of this host in the group, from 1 (default: 1)"
    )
    parser.add_argument("--address", help="where LEADER is reached, if not by that name")
    options = parser.parse_args(arguments)
    set_up_logs()
    try:
        follower = Follower(load_settings(), options.leader, options.number, options.address)
    except VoicesketchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: follower.leave())
    follower.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
