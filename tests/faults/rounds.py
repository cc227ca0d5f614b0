"""A round: a job of hundreds of recordings, a few faults on its way, and what must be true when it has ended.

What goes wrong and when is drawn from the number of the round: the same number gives the same round, as far as a
machine lets two runs be the same. All rounds of a house are about the same recordings, which are sent once; each draws
them by a seed of its own, so that no face is there before.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from sqlalchemy import func, select

from core.client_views import JobView
from core.ledger.database import Database
from core.ledger.tables import Artifact, Attempt, Drawing, Item, Job
from core.states import JOB_FINAL, ItemState
from core.store import Store
from core.submitting.submission import submit, wait
from tests.end_to_end.house import House, audit
from tests.faults.faults import FAULTS, Fault
from tests.faults.second_worker import SecondWorker

RATE = 16_000
DAMAGED_IN = 25  # every so many recordings, about
MOST_FAULTS = 3
PATIENCE_SECONDS = 180.0
READERS = 4
# What a recording may fail for by itself. Anything else would be somebody's bad luck, told to the user as their own.
OWN_FAULTS = frozenset({"empty_file", "not_audio", "too_short", "no_speech"})


@dataclass(frozen=True)
class Plan:
    """What a round's number stands for: the faults, and after which share of the faces each comes."""

    number: int
    faults: Sequence[tuple[float, Fault]]

    def __str__(self) -> str:
        what = ", ".join(f"at {share:.0%} {fault.__name__.replace('_', ' ')}" for share, fault in self.faults)
        return f"round {self.number}: {what}"


def plan(number: int) -> Plan:
    """Each fault comes first in one round after the other, so that twenty rounds leave none out."""
    chance = random.Random(number)
    count = chance.randint(1, MOST_FAULTS)
    chosen = [FAULTS[number % len(FAULTS)], *chance.choices(FAULTS, k=count - 1)]
    shares = sorted(chance.uniform(0.05, 0.85) for _ in chosen)
    return Plan(number, list(zip(shares, chosen, strict=True)))


def write_recordings(folder: Path, count: int, samples: Sequence[Path]) -> None:
    """Cuts of a second and more out of spoken recordings, no two alike, and a few files with nothing to draw from."""
    chance = np.random.default_rng(1)
    voices = [soundfile.read(path, dtype="float32", always_2d=True) for path in samples]
    folder.mkdir(parents=True)
    for at in range(count):
        path = folder / f"{at:04}.wav"
        if chance.integers(DAMAGED_IN) == 0:
            path.write_bytes(chance.bytes(int(chance.integers(0, 2000))))
            continue
        voice, rate = voices[int(chance.integers(len(voices)))]
        length = min(len(voice), round(rate * chance.uniform(0.8, 1.2)))
        first = int(chance.integers(len(voice) - length + 1))
        soundfile.write(path, voice[first : first + length] * chance.uniform(0.5, 1.0), rate)


def play(house: House, second: SecondWorker, sent: JobView, round_: Plan) -> JobView:
    """Draws the recordings of an earlier job and lets go wrong what the plan says; answers the job as it ended."""
    chance = random.Random(round_.number)
    job, _ = submit(house.client, [], earlier=sent.id, seed=round_.number + 1, name=str(round_))
    for share, fault in round_.faults:
        wait_until(house, job.id, share)
        fault(house, second, job, chance)
    return wait(house.client, job.id, patience_seconds=PATIENCE_SECONDS)


def wait_until(house: House, job_id: str, share: float) -> None:
    """Until that share of a job's items has ended; seen in the ledger, since the dashboard may be what is broken."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with house.ledger() as database:
        while True:
            with database.read() as session:
                job = session.get_one(Job, job_id)
                ended = job.done + job.cached + job.failed
            if job.state in JOB_FINAL or ended >= share * job.total:
                return
            assert time.monotonic() < deadline, f"{ended} of {job.total} after {PATIENCE_SECONDS} s"
            time.sleep(0.02)


class Kept(Protocol):
    """A house, or anything else with a ledger in view."""

    def ledger(self) -> AbstractContextManager[Database]: ...


def check(
    house: Kept, store: Store, job: JobView, count: int, besides: Mapping[str, int] | None = None
) -> None:
    """The invariant: nothing lost, nothing doubled, nothing half, nothing stuck.

    Args:
        besides: how many items failed for what is none of their own faults, by code.
    """
    with house.ledger() as database:
        found = audit(database, job.id)
        assert (job.total, found.items, found.final) == (count, count, count), found.states
        assert found.each_ended_once, found.final_moves.most_common(3)
        assert found.each_drawn_once, found.drawings.most_common(3)
        assert found.with_face + found.states[ItemState.FAILED.value] == count, found.states
        assert "active" not in found.attempts, found.attempts
        _check_errors(database, job, besides or {})
        _check_bytes(database, store, job)


def _check_errors(database: Database, job: JobView, besides: Mapping[str, int]) -> None:
    """What failed, failed for what it is, and not for what happened around it."""
    with database.read() as session:
        codes = session.execute(
            select(Item.error_code, func.count())
            .where(Item.job_id == job.id, Item.state == ItemState.FAILED)
            .group_by(Item.error_code)
        ).all()
    surprising = {code: number for code, number in codes if code not in OWN_FAULTS}
    assert surprising == besides, surprising


def _check_bytes(database: Database, store: Store, job: JobView) -> None:
    """Every published object is there, whole, and was uploaded by the attempt that published it."""
    with database.read() as session:
        rows = session.execute(
            select(Artifact.object_key, Artifact.sha256, Attempt.token)
            .join(Drawing, Drawing.face_id == Artifact.id)
            .join(Attempt, Attempt.id == Drawing.attempt_id)
            .join(Item, Item.drawing_id == Drawing.id)
            .where(Item.job_id == job.id)
        ).all()
    assert rows
    with ThreadPoolExecutor(READERS) as readers:
        contents = readers.map(store.get, [key for key, _, _ in rows])
    for (key, sha256, token), content in zip(rows, contents, strict=True):
        assert hashlib.sha256(content).hexdigest() == sha256, key
        assert f"/attempts/{token}/" in key, key
