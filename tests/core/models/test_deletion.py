"""Deleting models: what is in use stays, what is shared stays, and what is left is tidied away."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest

from core.datasets.plan import Plan
from core.datasets.recipes import FaceRecipe, Recipe
from core.errors import Conflict, InvalidRequest, NotFound
from core.ledger.database import now
from core.ledger.schedule_tables import Schedule
from core.ledger.tables import Job, ModelVersion
from core.models.deletion import delete_model, remove_unregistered_files
from core.models.promotion import promote
from core.models.registry import fetch_model, pair_models, register_model, resolve_model, take_in_model_file
from core.objects import dataset_plan_key
from core.people.audit import list_entries
from core.queries import list_models, model_label
from core.specs import PrepareSpec
from core.training.specs import EvaluateSpec, TrainSpec, VEConvTask
from tests.core.models.registry_place import Registry, on_sqlite, write_model


def delete(
    registry: Registry, label: str, *, dry_run: bool = False, bundled: Path = Path("/nowhere")
) -> None:
    delete_model(
        registry.ledger.database,
        registry.store,
        label,
        actor="user_ada",
        bundled=bundled,
        reason="tidying",
        dry_run=dry_run,
    )


def test_a_deleted_version_is_gone_for_all_but_those_who_used_it(registry: Registry, tmp_path: Path) -> None:
    registry.model("drawer", b"old")
    gone = registry.model("drawer", b"new")
    delete(registry, "drawer@2", dry_run=True)
    assert fetch_model(registry.store, gone, tmp_path / "a").is_dir()
    delete(registry, "drawer@2")
    delete(registry, "drawer@2")
    with registry.ledger.database.read() as session:
        assert resolve_model(session, "drawer").label == "drawer@1"
        assert [model.label for model, _ in list_models(session)] == ["drawer@1"]
        assert model_label(session, gone.id) == "drawer@2"
        with pytest.raises(InvalidRequest, match="drawer@2 was deleted"):
            resolve_model(session, "drawer@2")
        (entry,) = list_entries(session)
        kept = session.get(ModelVersion, gone.id)
        assert kept is not None
        with pytest.raises(NotFound, match="was deleted"):
            fetch_model(registry.store, kept, tmp_path / "b")
    assert (entry.action, entry.subject, entry.details["reason"]) == ("model.delete", "drawer@2", "tidying")
    assert not any(registry.store.exists(file["key"]) for file in gone.files)
    again = registry.model("drawer", b"new")
    assert again.label == "drawer@3", "a label never means another thing, and the same files may come back"
    assert fetch_model(registry.store, again, tmp_path / "c").is_dir()


@on_sqlite
def test_files_that_other_versions_have_stay(registry: Registry, tmp_path: Path) -> None:
    first, twin = registry.model("drawer", b"same"), registry.model("twin", b"same")
    delete(registry, first.label)
    assert fetch_model(registry.store, twin, tmp_path / "a").is_dir()
    delete(registry, twin.label)
    assert list(registry.store.keys("models/")) == []


@on_sqlite
def test_what_an_alias_a_pair_or_the_next_start_needs_is_not_deleted(
    registry: Registry, tmp_path: Path
) -> None:
    ears, hand = registry.halves()
    database, store = registry.ledger.database, registry.store
    pair = pair_models(database, store, encoder=ears.label, decoder=hand.label, name="pair")
    with database.write() as session:
        promote(session, "staging", pair, actor="user_ada")
    folder = write_model(tmp_path / "bundled", b"bundled")
    bundled = register_model(database, store, folder, name="default")
    for version, words in (
        (ears, "it is half of pair@1"),
        (hand, "it is half of pair@1"),
        (pair, "the alias staging points at it"),
        (bundled, "it comes with the program"),
    ):
        with pytest.raises(Conflict, match=words):
            delete(registry, version.label, bundled=folder)
    with database.write() as session:
        promote(session, "staging", bundled, actor="user_ada")
    delete(registry, pair.label)
    assert fetch_model(store, ears, tmp_path / "a").is_dir(), "a pair does not take its halves along"
    delete(registry, ears.label)


@on_sqlite
def test_a_label_must_say_exactly_which_version(registry: Registry) -> None:
    registry.model("drawer")
    for wrong in ("drawer", "production", "drawer@", "drawer@x", "drawer@1@1"):
        with pytest.raises(InvalidRequest, match="Say which version"):
            delete(registry, wrong)
    with pytest.raises(NotFound):
        delete(registry, "drawer@7")


@on_sqlite
def test_what_an_unfinished_job_names_is_not_deleted(registry: Registry) -> None:
    ears, hand = registry.halves()
    drawer = registry.model("drawer", b"drawer")
    training = TrainSpec(
        model="drawer", dataset="clips", recipe=VEConvTask(face_encoder="faces@9", face_decoder="hand")
    )
    jobs = [
        (registry.job(training), hand),
        (registry.job(EvaluateSpec(model="drawer@1", dataset="clips")), drawer),
    ]
    plan = Plan("folders", Recipe(face=FaceRecipe(outputs=("embedding",), encoder="ears@1")), (), ())
    registry.store.put(dataset_plan_key(plan.sha256), plan.to_bytes(), "application/jsonl")
    jobs.append((registry.job(PrepareSpec(dataset="clips", plan_sha256=plan.sha256)), ears))
    for job, version in jobs:
        with pytest.raises(Conflict, match=f"job {job.id}, which is not finished, names it"):
            delete(registry, version.label)
    # What a training is to make may be called like a model that is there.
    other = registry.trained("other", b"other", job_id=jobs[0][0].id)
    with pytest.raises(Conflict, match="still at work with it"):
        delete(registry, other.label)
    with registry.ledger.database.write() as session:
        for job, _ in jobs:
            held = session.get(Job, job.id)
            assert held is not None
            held.finished_at = now(session)
    for version in (hand, drawer, ears, other):
        delete(registry, version.label)


@on_sqlite
def test_what_a_schedule_would_train_with_is_not_deleted(registry: Registry) -> None:
    _, hand = registry.halves()
    owner = registry.ledger.user()
    with registry.ledger.database.write() as session:
        schedule = Schedule(
            id="schedule_1",
            name="weekly",
            owner_id=owner.id,
            time_zone="UTC",
            template={"training": {"model": "ears", "recipe": {"task": "ve_conv", "face_decoder": "hand"}}},
            catch_up="none",
            overlap="skip",
            created_at=now(session),
        )
        session.add(schedule)
    with pytest.raises(Conflict, match="the schedule weekly names it"):
        delete(registry, hand.label)
    delete(registry, "ears@1")
    with registry.ledger.database.write() as session:
        held = session.get(Schedule, "schedule_1")
        assert held is not None
        held.removed_at = now(session)
    delete(registry, hand.label)


@on_sqlite
def test_a_parent_may_go_as_its_children_have_weights_of_their_own(
    registry: Registry, tmp_path: Path
) -> None:
    parent = registry.trained("drawer", b"parent")
    child = registry.trained("drawer", b"child", parent_id=parent.id)
    delete(registry, parent.label)
    assert fetch_model(registry.store, child, tmp_path / "a").is_dir()


@on_sqlite
def test_files_that_never_became_a_model_are_removed_after_a_day(registry: Registry) -> None:
    database, store = registry.ledger.database, registry.store
    model = registry.model("drawer", b"weights")
    take_in_model_file(store, io.BytesIO(b"nobody's"), max_bytes=100)
    assert remove_unregistered_files(database, store) == 0, "it came just now"
    assert remove_unregistered_files(database, store, older_than=timedelta(days=-1)) == 1
    assert sorted(store.keys("models/")) == sorted(file["key"] for file in model.files)
