"""Asking for trainings, evaluations and analyses through the API: what is taken, and what is refused and how."""

from __future__ import annotations

from typing import Any

import pytest

from core.identifiers import new_id
from core.jobs import enter_job
from core.ledger.database import now
from core.ledger.schedule_tables import JobWebhook
from core.ledger.tables import Alias, DatasetVersion, Job, ModelVersion
from core.people.accounts import Role
from core.specs import PrepareSpec
from tests.dashboard.conftest import Place, Script

FEATURES = ["embedding", "picture", "ve_conv"]


@pytest.fixture
def place(sqlite_place: Place) -> Place:
    """With `people@1`, and networks that are rows only."""
    owner = sqlite_place.user("olga", Role.OPERATOR)
    kinds = {
        "vgg_face": {"part": "encoder", "input": "face", "config": {"embedding_length": 16}},
        "face_decoder": {"part": "decoder", "config": {"embedding_length": 16}},
        "wide_decoder": {"kind": "face_decoder", "part": "decoder", "config": {"embedding_length": 32}},
        "ve_conv": {"part": "encoder", "input": "voice", "config": {"embedding_length": 16}},
        "gone": {"kind": "vgg_face", "part": "encoder", "input": "face"},
    }
    with sqlite_place.database.write() as session:
        at = now(session)
        for name, config in kinds.items():
            session.add(
                ModelVersion(
                    id=f"model_{name}",
                    name=name,
                    version=1,
                    sha256=name.ljust(64, "0"),
                    files=[],
                    config={"kind": name, **config},
                    created_at=at,
                    deleted_at=at if name == "gone" else None,
                )
            )
        session.flush()
        session.add(Alias(name="taken", model_version_id="model_ve_conv", moved_at=at))
        job = enter_job(
            session,
            spec=PrepareSpec(dataset="people", plan_sha256="0" * 64),
            owner_id=owner.id,
            name="people",
            queue="gpu",
            priority=0,
            model_version_id=None,
            idempotency_key=None,
            at=at,
        )
        session.add(
            DatasetVersion(
                id=new_id("dataset"),
                name="people",
                version=1,
                sha256="d" * 64,
                owner_id=owner.id,
                job_id=job.id,
                files=[],
                summary={
                    "features": FEATURES,
                    "by_split": {"train": {"people": 8}, "validation": {"people": 0}, "test": {"people": 2}},
                },
                created_at=at,
            )
        )
    return sqlite_place


def a_training(**changes: Any) -> dict[str, Any]:
    recipe = {"task": "ve_conv", "loop": {"epochs": 2}, **changes.pop("recipe", {})}
    return {"model": "voices", "dataset": "people", "recipe": recipe, **changes}


def problems(script: Script, wanted: object) -> dict[str, str]:
    answer = script.post("/api/v1/trainings/check", json=wanted)
    assert answer.status_code == 200, answer.text
    return {problem["field"]: problem["message"] for problem in answer.json["problems"]}


def test_an_operator_starts_a_training_with_versions_in_place_of_names(place: Place) -> None:
    olga = place.script("olga")
    headers = {"Idempotency-Key": "once"}
    answer = olga.post("/api/v1/trainings", json=a_training(priority=5, name="mine"), headers=headers)
    assert answer.status_code == 201, answer.text
    job = answer.json
    assert (job["kind"], job["state"], job["name"], job["priority"]) == ("train", "queued", "mine", 5)
    assert (job["model"], job["dataset"], job["request_counts"]["total"]) == ("voices", "people@1", 2)
    spec = olga.get(f"/api/v1/jobs/{job['id']}/training").json["spec"]
    assert spec["dataset"] == "people@1"
    assert spec["recipe"]["face_encoder"] == "vgg_face@1"
    assert spec["recipe"]["face_decoder"] == "face_decoder@1"
    assert "priority" not in spec
    again = olga.post("/api/v1/trainings", json=a_training(), headers=headers)
    assert again.json["id"] == job["id"]


def test_only_operators_train_and_evaluate_and_others_may_check(place: Place) -> None:
    ada = place.script("ada")
    for path, body in (
        ("trainings", a_training()),
        ("evaluations", {"model": "ve_conv", "dataset": "people"}),
        ("analyses", {"model": "ve_conv", "dataset": "people"}),
    ):
        answer = ada.post(f"/api/v1/{path}", json=body)
        assert answer.status_code == 403, path
    assert "dataset" in problems(ada, a_training())  # of somebody else: it is not there for her


def test_everything_that_is_wrong_is_told_by_field(place: Place) -> None:
    olga = place.script("olga")
    wrong = a_training(
        recipe={"loop": {"batch": 1, "optimiser": {"name": "magic"}}, "novel": 1}, machine={"seed": -1}
    )
    assert problems(olga, wrong).keys() == {
        "recipe.loop.batch",
        "recipe.loop.optimiser.name",
        "recipe.novel",
        "machine.seed",
    }
    assert problems(olga, {"recipe": {"task": "sing"}}).keys() == {"model", "dataset", "recipe"}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"dataset": "nobody"}, "dataset", "There is no dataset 'nobody'"),
        ({"dataset": "people@7"}, "dataset", "There is no dataset"),
        ({"after": {"split": "validation"}}, "dataset", "nobody in its validation part"),
        ({"recipe": {"task": "ast"}}, "dataset", "has no ast"),
        ({"recipe": {"face_encoder": "nothing"}}, "recipe.face_encoder", "There is no model 'nothing'"),
        ({"recipe": {"face_encoder": "gone@1"}}, "recipe.face_encoder", "deleted"),
        ({"recipe": {"face_encoder": "ve_conv"}}, "recipe.face_encoder", "an encoder of faces is needed"),
        ({"recipe": {"face_decoder": "vgg_face"}}, "recipe.face_decoder", "a face decoder is needed"),
        ({"recipe": {"face_decoder": "wide_decoder"}}, "recipe.face_decoder", "embeddings of 32 numbers"),
        ({"parent": "vgg_face"}, "parent", "of the kind ve_conv"),
        ({"model": "taken"}, "model", "is an alias"),
        ({"after": {"gate": None, "promote": True}}, "after.promote", "through a gate"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_before_anything_runs(
    place: Place, changes: dict[str, Any], field: str, words: str
) -> None:
    olga = place.script("olga")
    wanted = a_training(**changes)
    found = problems(olga, wanted)
    assert found.keys() == {field}
    assert words in found[field]
    answer = olga.post("/api/v1/trainings", json=wanted)
    assert answer.status_code == 400
    assert words in answer.json["detail"]


def test_a_check_that_finds_nothing_answers_the_whole_spec_and_starts_nothing(place: Place) -> None:
    olga = place.script("olga")
    answer = olga.post("/api/v1/trainings/check", json=a_training(parent="ve_conv")).json
    assert (answer["ok"], answer["problems"]) == (True, [])
    assert answer["spec"]["parent"] == "ve_conv@1"
    assert answer["spec"]["machine"]["seed"] == 0
    kinds = {job["kind"] for job in olga.get("/api/v1/jobs").json["data"]}
    assert "train" not in kinds


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("evaluations", {"model": "ve_conv"}, "draws nothing by itself"),
        ("evaluations", {"model": "face_decoder"}, "a model that draws"),
        ("evaluations", {"model": "ve_conv", "partner": "face_decoder"}, "an encoder of faces is needed"),
        ("analyses", {"model": "ve_conv"}, "a model that draws from voices"),
    ],
)
def test_models_that_cannot_be_measured_are_refused(
    place: Place, path: str, body: dict[str, Any], words: str
) -> None:
    answer = place.script("olga").post(f"/api/v1/{path}", json={"dataset": "people", **body})
    assert answer.status_code == 400
    assert words in answer.json["detail"]


def test_run_again_makes_a_new_job_of_the_same_spec_and_only_for_programs(place: Place) -> None:
    olga = place.script("olga")
    body = {"model": "ve_conv", "partner": "vgg_face", "dataset": "people", "seed": 3}
    first = olga.post("/api/v1/evaluations", json=body).json
    again = olga.post(f"/api/v1/jobs/{first['id']}/again")
    assert again.status_code == 201, again.text
    assert again.json["id"] != first["id"]
    assert again.json["state"] == "queued"
    specs = [olga.get(f"/api/v1/jobs/{job['id']}/training").json["spec"] for job in (first, again.json)]
    assert specs[0] == specs[1]
    assert specs[0]["seed"] == 3
    drawing = place.script("ada").job(1)
    assert olga.post(f"/api/v1/jobs/{drawing}/again").status_code == 409
    assert place.script("ada").post(f"/api/v1/jobs/{first['id']}/again").status_code == 404, (
        "it is not hers to see"
    )


def test_the_end_of_a_training_is_told_to_who_asked_for_it(place: Place) -> None:
    olga = place.script("olga", Role.OPERATOR)
    told = a_training(webhook_url="https://93.184.215.14/hooks/my-key")
    refused = olga.post("/api/v1/trainings", json=a_training(webhook_url="http://127.0.0.1/x"))
    assert (refused.status_code, "open internet" in refused.json["detail"]) == (400, True)
    once = {"Idempotency-Key": "once"}
    made = olga.post("/api/v1/trainings", json=told, headers=once)
    assert made.status_code == 201, made.text
    again = olga.post("/api/v1/trainings", json=told, headers=once).json
    assert (again["id"], again["webhook_secret"]) == (made.json["id"], None)
    with place.database.read() as session:
        hook = session.get_one(JobWebhook, made.json["id"])
        assert (hook.url, hook.secret) == (told["webhook_url"], made.json["webhook_secret"])
        assert "webhook_url" not in session.get_one(Job, made.json["id"]).spec
    page = place.browser("olga").get(f"/jobs/{made.json['id']}").text
    assert "A signed note goes to 93.184.215.14." in page
    assert "my-key" not in page
    assert olga.post(f"/api/v1/jobs/{made.json['id']}/cancel").status_code == 200
    page = place.browser("olga").get(f"/jobs/{made.json['id']}/summary").text
    assert "not told yet" in page
    assert len(olga.get(f"/api/v1/jobs/{made.json['id']}/webhook").json["notes"]) == 1
    without = olga.post("/api/v1/trainings", json=a_training()).json
    assert without["webhook_secret"] is None
    assert 'id="webhook"' not in place.browser("olga").get(f"/jobs/{without['id']}").text


def test_presets_are_recipes_that_the_check_understands(place: Place) -> None:
    olga = place.script("olga")
    presets = {preset["name"]: preset for preset in olga.get("/api/v1/trainings/presets").json["data"]}
    assert {"ve_conv", "ve_conv-original", "matching", "gan", "default"} <= presets.keys()
    small = presets["ve_conv-small"]
    body = {"model": "m", "dataset": "people", "recipe": small["recipe"], "machine": small["machine"]}
    assert all(field.startswith("recipe.face") for field in problems(olga, body))
