"""A collection prepared again: what was made is taken over, and only what is new is made."""

from __future__ import annotations

import io
import json

import pytest
from sqlalchemy import select

from core.datasets.collection_planning import plan_collection
from core.datasets.collections import add_files, ensure_collection
from core.datasets.plan import Plan
from core.datasets.preparing import create_prepare_job
from core.datasets.recipes import FaceRecipe, Recipe, VoiceRecipe
from core.incoming.recordings import take_in
from core.ledger.tables import DatasetShard, DatasetVersion, Item, Job
from core.objects import dataset_shard_key, recording_key
from core.people.accounts import Role
from core.schedules.specs import Source
from core.states import ItemState
from tests.worker.place import Place
from tests.worker.small_datasets import picture, voice
from worker.dataset_work import DatasetWork

RECIPE = Recipe(
    voice=VoiceRecipe(features=("waveform",), waveform_seconds=0.5), face=FaceRecipe(size=32), shard_entries=4
)


def add(place: Place, people: range, name: str = "people") -> None:
    user = place.ledger.user("olga", Role.OPERATOR)
    files: dict[str, str] = {}
    for number in people:
        for path, content in (
            ("a.wav", voice(0.6, 2 * number)),
            ("b.wav", voice(0.6, 2 * number + 1)),
            ("face.png", picture(number)),
        ):
            taken = take_in(
                place.database, place.store, io.BytesIO(content), owner_id=user.id, max_bytes=2**30
            )
            files[f"p{number:02}/{path}"] = taken.sha256
    with place.database.write() as session:
        add_files(session, user, ensure_collection(session, user, name), files)


def prepare(place: Place, name: str = "people", dataset: str = "people", recipe: Recipe = RECIPE) -> Job:
    """Prepares a collection as it is now, to the end."""
    plan = plan_collection(place.database, place.store, Source(collection=name), recipe)
    return carry_out(place, plan, dataset)


def carry_out(place: Place, plan: Plan, dataset: str) -> Job:
    with place.database.write() as session:
        owner = place.ledger.user("olga", Role.OPERATOR)
        job = create_prepare_job(session, owner_id=owner.id, dataset=dataset, plan=plan)
    place.work()
    with place.database.read() as session:
        return session.get_one(Job, job.id)


def versions(place: Place, name: str = "people") -> list[DatasetVersion]:
    with place.database.read() as session:
        query = select(DatasetVersion).where(DatasetVersion.name == name).order_by(DatasetVersion.version)
        return list(session.scalars(query))


def splits(place: Place, version: DatasetVersion) -> dict[str, str]:
    people = next(file for file in version.files if file["name"] == "people.jsonl")
    lines = map(json.loads, place.store.get(people["key"]).splitlines())
    return {line["name"]: line["split"] for line in lines}


def states(place: Place, job: Job) -> list[ItemState]:
    with place.database.read() as session:
        return list(session.scalars(select(Item.state).where(Item.job_id == job.id).order_by(Item.position)))


def test_only_new_shards_are_made_and_the_whole_is_the_dataset_its_plan_says(place: Place) -> None:
    add(place, range(10))
    first = prepare(place)
    assert first.cached == 0
    add(place, range(10, 13))
    second = prepare(place)
    # Shards of the first come first, and are taken over; then come new ones, and the version.
    taken_over = first.total - 1
    assert states(place, second)[:taken_over] == [ItemState.CACHED] * taken_over
    assert set(states(place, second)[taken_over:]) == {ItemState.DONE}
    assert second.total > first.total
    one, two = versions(place)
    before, after = splits(place, one), splits(place, two)
    assert {name: after[name] for name in before} == before
    assert len(after) == 13
    assert two.summary["entries"] == 39

    # The same plan, with nothing to take over, is the same dataset.
    with place.database.write() as session:
        session.query(DatasetShard).update({"inputs_sha256": None})
    plan = plan_collection(place.database, place.store, Source(collection="people"), RECIPE)
    whole = carry_out(place, plan, "again")
    assert whole.cached == 0
    assert versions(place, "again")[0].sha256 == two.sha256


def test_nothing_new_is_the_version_that_is_there(place: Place) -> None:
    add(place, range(6))
    prepare(place)
    again = prepare(place)
    assert (again.cached, again.done) == (again.total - 1, 1)
    assert [version.label for version in versions(place)] == ["people@1"]
    add(place, range(6))  # the same files once more
    prepare(place)
    assert len(versions(place)) == 1


def test_a_shard_that_is_gone_from_the_store_is_made_again(place: Place) -> None:
    add(place, range(6))
    first = prepare(place)
    with place.database.read() as session:
        gone = session.scalars(select(DatasetShard).order_by(DatasetShard.number)).first()
    assert gone is not None
    place.store.delete(dataset_shard_key(gone.sha256))
    again = prepare(place)
    assert states(place, again)[0] is ItemState.DONE
    assert again.cached == first.total - 2
    assert len(versions(place)) == 1
    assert place.store.size(dataset_shard_key(gone.sha256)) == gone.size_bytes


def test_an_input_that_was_missing_and_came_back_is_looked_at_again(place: Place) -> None:
    add(place, range(6))
    plan = plan_collection(place.database, place.store, Source(collection="people"), RECIPE)
    source = plan.entries[0].source or ""
    content = place.store.get(recording_key(source))
    place.store.delete(recording_key(source))
    carry_out(place, plan, "people")
    assert versions(place)[0].summary["rejects"] == {"unreadable_file": 1}
    place.store.put(recording_key(source), content, "audio/wav")
    again = prepare(place)
    assert states(place, again)[0] is ItemState.DONE
    assert versions(place)[1].summary["rejects"] == {}


def test_another_recipe_makes_other_shards_and_leaves_everybody_where_they_are(place: Place) -> None:
    add(place, range(10))
    prepare(place)
    larger = RECIPE.model_copy(update={"face": FaceRecipe(size=64)})
    other = prepare(place, dataset="larger", recipe=larger)
    assert other.cached == 0
    assert splits(place, versions(place, "larger")[0]) == splits(place, versions(place)[0])
    reseeded = RECIPE.model_copy(update={"split": RECIPE.split.model_copy(update={"seed": 1})})
    prepare(place, dataset="reseeded", recipe=reseeded)
    assert splits(place, versions(place, "reseeded")[0]) == splits(place, versions(place)[0])


def test_two_who_plan_at_the_same_time_agree_on_who_is_where(place: Place) -> None:
    from concurrent.futures import ThreadPoolExecutor

    add(place, range(30))
    recipes = [
        RECIPE.model_copy(update={"split": RECIPE.split.model_copy(update={"seed": seed})})
        for seed in range(4)
    ]
    with ThreadPoolExecutor(4) as threads:
        plans = list(
            threads.map(
                lambda recipe: plan_collection(
                    place.database, place.store, Source(collection="people"), recipe
                ),
                recipes,
            )
        )
    assert len({tuple((person.name, person.split) for person in plan.people) for plan in plans}) == 1


def test_a_worker_takes_a_shard_over_without_loading_a_network(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(place, range(4))
    prepare(place)

    def never(*_: object) -> None:
        raise AssertionError("nothing needs to be made")

    monkeypatch.setattr(DatasetWork, "_face_encoder", never)
    again = prepare(place)
    assert again.cached == again.total - 1
