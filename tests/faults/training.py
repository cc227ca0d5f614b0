"""A training in a house of faults: a dataset and a job for it, who is at it, and how it goes on."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import select

from core.ledger.database import Database
from core.ledger.tables import Attempt, Worker
from core.people.accounts import Role
from core.states import AttemptState
from core.store import Store
from tests.factories import Ledger
from tests.faults.place import Place
from tests.worker.program_place import ProgramPlace
from tests.worker.training.made_up import RECIPES, make, spec

_PATIENCE_SECONDS = 180.0


class TrainingInHouse(ProgramPlace):
    """Looks and starts trainings by the ledger and the store of a house, whose own workers carry them out."""

    def __init__(self, place: Place, database: Database) -> None:
        # Not as a place of its own is made: the house has its ledger, its bucket and its model.
        self.settings = place.second.settings
        self.database = database
        self.store = Store(self.settings)
        self.ledger = Ledger(database)
        self.owner = self.ledger.user("olga", Role.OPERATOR).id

    def start_one(self, epochs: int) -> str:
        """A small training of its own dataset with a checkpoint after every epoch; answers the id of its job."""
        wanted = spec(
            {**RECIPES["matching"], "loop": {"epochs": epochs, "batch": 8}},
            machine={"sample_pictures": 0},
            after={"evaluate": False, "gate": None},
        )
        return self.start(wanted)

    # -- looking

    def is_resumed(self, job: str) -> bool:
        progress = self.progress(job)
        return progress is not None and bool(progress.resumed_at_step)

    def checkpoints(self, job: str) -> int:
        """The step of the newest one in the store; 0 before there is any."""
        return max(
            (file.step or 0 for file in self.files(job).values() if file.kind == "checkpoint"), default=0
        )

    def wait_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.05)

    # -- bad luck

    def holder(self, job: str) -> psutil.Process:
        """The process of a worker that sees the training through, once there is one."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self.database.read() as session:
                pid = session.scalar(
                    select(Worker.pid)
                    .join(Attempt, Attempt.worker_id == Worker.id)
                    .where(Attempt.job_id == job, Attempt.state == AttemptState.ACTIVE)
                )
            with contextlib.suppress(psutil.NoSuchProcess):
                if pid is not None:
                    return psutil.Process(pid)
            time.sleep(0.05)
        raise AssertionError("nobody is at the training")


@contextmanager
def training_in(place: Place, folder: Path) -> Iterator[TrainingInHouse]:
    made = make(folder).dataset
    with place.house.ledger() as database:
        training = TrainingInHouse(place, database)
        files = [path for path in made.rglob("*") if path.is_file() and ".progress" not in path.parts]
        training.add_dataset({path.relative_to(made).as_posix(): path.read_bytes() for path in files})
        yield training


def the_training_is_killed(place: Place, training: TrainingInHouse, job: str) -> None:
    """Its own processes, and neither its worker nor the keeper between the two."""
    for process in training.holder(job).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "worker.train" in line and not any("keeper" in word for word in line):
                process.kill()


def the_process_that_supervises_it_is_killed(place: Place, training: TrainingInHouse, job: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        training.holder(job).kill()


def its_whole_worker_is_killed(place: Place, training: TrainingInHouse, job: str) -> None:
    """Whichever of the two has it; what has fallen is started again."""
    holder = training.holder(job)
    if any(holder.pid == process.pid for process in place.second.family()):
        place.second.kill()
        place.second.start()
    else:
        place.house.kill_program("worker")


KILLS: tuple[Callable[[Place, TrainingInHouse, str], None], ...] = (
    the_training_is_killed,
    the_process_that_supervises_it_is_killed,
    its_whole_worker_is_killed,
)


def kills_of(number: int) -> list[Callable[[Place, TrainingInHouse, str], None]]:
    """Each comes first in one round after the other; two a round."""
    return [KILLS[number % len(KILLS)], random.Random(number).choice(KILLS)]
