"""Jobs that prepare datasets: shards first, the version when all of them are there, the same content once."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import select, update

from core.claims.chunks import PrepareChunk
from core.claims.leases import claim_chunk, reap, release
from core.datasets.plan import Entry, LeftOut, Person, Plan
from core.datasets.preparing import (
    DatasetMade,
    PreparationOutcome,
    ShardMade,
    StepFailed,
    create_prepare_job,
    publish_preparation,
)
from core.datasets.recipes import Recipe
from core.errors import InvalidRequest, LeaseLost
from core.jobs import cancel_job, retry_job
from core.ledger.database import now
from core.ledger.tables import Attempt, DatasetVersion
from core.states import ItemState, JobState
from tests.factories import Ledger


def plan(voices: int = 5, shard_entries: int = 2) -> Plan:
    """People of one voice each; all but the last are for training."""
    people = tuple(
        Person(f"p{number}", f"p{number}", "test" if number == voices - 1 else "train")
        for number in range(voices)
    )
    entries = tuple(Entry(f"{person.id}/a.wav", person.id, "voice", "recording") for person in people)
    return Plan("folders", Recipe(face=None, shard_entries=shard_entries), people, entries)


def make_job(ledger: Ledger, made_of: Plan | None = None, dataset: str = "voices") -> str:
    with ledger.database.write() as session:
        owner = ledger.user().id
        return create_prepare_job(session, owner_id=owner, dataset=dataset, plan=made_of or plan()).id


def claim(ledger: Ledger, worker: str, size: int = 32) -> PrepareChunk | None:
    with ledger.database.write() as session:
        chunk = claim_chunk(session, worker, "gpu", size=size, lease_seconds=60)
        assert chunk is None or isinstance(chunk, PrepareChunk)
        return chunk


def publish(ledger: Ledger, chunk: PrepareChunk, outcomes: list[PreparationOutcome] | None = None) -> None:
    with ledger.database.write() as session:
        publish_preparation(session, chunk, outcomes or [outcome(step.stage, step) for step in chunk.items])


def outcome(stage: int, step: object, content: str = "") -> PreparationOutcome:
    item_id, position = step.id, step.position  # type: ignore[attr-defined]
    if stage == 0:
        return ShardMade(item_id, position, hashlib.sha256(b"shard").hexdigest(), 10, 2, 0, 0.1)
    return DatasetMade(item_id, hashlib.sha256(content.encode()).hexdigest(), [], {"people": 5}, 0.1)


def versions(ledger: Ledger) -> list[str]:
    with ledger.database.read() as session:
        return [
            version.label for version in session.scalars(select(DatasetVersion).order_by(DatasetVersion.id))
        ]


def run(ledger: Ledger, worker: str) -> None:
    while chunk := claim(ledger, worker):
        publish(ledger, chunk)


def test_a_plan_comes_back_from_its_bytes_and_names_itself() -> None:
    made = plan()
    odd = Entry(
        "Zoë/\u2028 \n.wav", "p0", "face", "picture", "0" * 64, {"landmarks": ("Zoë/a.npy", "1" * 64)}
    )
    made = Plan(made.layout, made.recipe, made.people, (*made.entries, odd), (LeftOut("x", "no_pair", "…"),))
    again = Plan.from_bytes(made.to_bytes())
    assert again == made
    assert again.sha256 == made.sha256
    assert again.sha256 != plan().sha256
    with pytest.raises(ValueError, match="not a plan"):
        Plan.from_bytes(b"{}")


def test_shards_never_mix_parts_of_the_split() -> None:
    shards = plan(voices=6, shard_entries=4).shards()
    assert [(shard.split, len(shard.entries)) for shard in shards] == [
        ("train", 4),
        ("train", 1),
        ("test", 1),
    ]
    assert [shard.number for shard in shards] == [0, 1, 2]


def test_the_version_waits_until_every_shard_is_published(ledger: Ledger) -> None:
    job_id = make_job(ledger)
    assert [item.name for item in ledger.items(job_id)] == [
        "Train, inputs 1 to 2",
        "Train, inputs 3 to 4",
        "Test, inputs 1 to 1",
        "The dataset version",
    ]
    first, second = ledger.worker(), ledger.worker()
    one, two = claim(ledger, first, size=2), claim(ledger, second, size=2)
    assert one is not None
    assert two is not None
    assert [step.stage for step in (*one.items, *two.items)] == [0, 0, 0]
    publish(ledger, two)
    assert claim(ledger, second) is None  # the other worker still has shards
    publish(ledger, one)
    last = claim(ledger, first)
    assert last is not None
    assert [step.stage for step in last.items] == [1]
    publish(ledger, last)
    assert ledger.get(job_id).state is JobState.COMPLETED
    assert versions(ledger) == ["voices@1"]
    assert ledger.counters(job_id) == ledger.counted(job_id)


def test_a_blocked_dataset_does_not_keep_recordings_waiting(ledger: Ledger) -> None:
    make_job(ledger, plan(voices=2, shard_entries=4))
    worker = ledger.worker()
    while (chunk := claim(ledger, worker)) is not None and chunk.items[0].stage == 0:
        held = chunk
    assert held.items
    ledger.job(3, owner="grace")
    assert len(ledger.claim(worker).items) == 3


def test_the_same_content_under_the_same_name_is_the_same_version(ledger: Ledger) -> None:
    worker = ledger.worker()
    for dataset in ("voices", "voices", "others"):
        make_job(ledger, dataset=dataset)
        run(ledger, worker)
    assert versions(ledger) == ["voices@1", "others@1"]
    job_id = make_job(ledger)
    while chunk := claim(ledger, worker):
        publish(ledger, chunk, [outcome(step.stage, step, "changed") for step in chunk.items])
    assert versions(ledger) == ["voices@1", "others@1", "voices@2"]
    assert ledger.get(job_id).state is JobState.COMPLETED


def test_a_worker_thought_dead_can_publish_nothing(ledger: Ledger) -> None:
    job_id = make_job(ledger)
    zombie = claim(ledger, ledger.worker())
    assert zombie is not None
    with ledger.database.write() as session:
        session.execute(update(Attempt).values(lease_until=now(session).replace(year=2000)))
    assert reap(ledger.database, max_attempts=3) == 1
    run(ledger, ledger.worker())
    with pytest.raises(LeaseLost):
        publish(ledger, zombie)
    assert ledger.get(job_id).state is JobState.COMPLETED
    assert ledger.counters(job_id) == ledger.counted(job_id)


def test_retry_tries_every_missing_part_and_the_version(ledger: Ledger) -> None:
    job_id = make_job(ledger)
    worker = ledger.worker()
    while chunk := claim(ledger, worker):
        publish(
            ledger,
            chunk,
            [
                StepFailed(step.id, "parts_missing", "A part is missing.", 0.1)
                if step.position in (1, 3)
                else outcome(step.stage, step)
                for step in chunk.items
            ],
        )
    assert ledger.get(job_id).state is JobState.COMPLETED_WITH_ERRORS
    assert versions(ledger) == []
    with ledger.database.write() as session:
        failed = [item.id for item in ledger.items(job_id) if item.state is ItemState.FAILED]
        assert retry_job(session, job_id, actor="ada", item_ids=failed[:1]) == 2
    run(ledger, worker)
    assert ledger.get(job_id).state is JobState.COMPLETED
    assert versions(ledger) == ["voices@1"]


def test_a_cancelled_preparation_can_go_on_where_it_was(ledger: Ledger) -> None:
    job_id = make_job(ledger)
    worker = ledger.worker()
    chunk = claim(ledger, worker, size=2)
    assert chunk is not None
    publish(ledger, chunk, [outcome(0, chunk.items[0])])
    with ledger.database.write() as session:
        cancel_job(session, job_id, actor="ada")
    with ledger.database.write() as session:
        release(session, chunk.attempt_id, reason="cancelled")
    assert ledger.get(job_id).state is JobState.CANCELLED
    with ledger.database.write() as session:
        assert retry_job(session, job_id, actor="ada", which="cancelled") == 3
    run(ledger, worker)
    assert ledger.get(job_id).state is JobState.COMPLETED


def test_an_empty_plan_makes_no_job(ledger: Ledger) -> None:
    empty = Plan("folders", Recipe(), (), (), (LeftOut("a.txt", "not_media", "Not a recording."),))
    with pytest.raises(InvalidRequest, match="all 1 inputs were left out"):
        make_job(ledger, empty)
