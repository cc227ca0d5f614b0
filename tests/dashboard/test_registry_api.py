"""Aliases, lineage, comparisons, exports, deletions and the audit over the API, and their pages."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from core.ledger.tables import ModelVersion
from core.models.registry import register_model
from core.people.accounts import Role
from tests.core.models.registry_place import Registry, metric, write_model
from tests.dashboard.conftest import Place
from tests.factories import Ledger


def registry_of(place: Place, folder: Path) -> Registry:
    return Registry(Ledger(place.database), place.store, folder)


@pytest.fixture
def drawers(sqlite_place: Place, tmp_path: Path) -> list[ModelVersion]:
    registry = registry_of(sqlite_place, tmp_path)
    return [registry.model("drawer", weights) for weights in (b"one", b"two")]


def test_an_operator_moves_an_alias_and_everybody_may_see_who_did(place: Place, tmp_path: Path) -> None:
    registry = registry_of(place, tmp_path)
    registry.model("drawer", b"one")
    olga, vera = place.script("olga", Role.OPERATOR), place.script("vera", Role.VIEWER)
    answer = olga.post("/api/v1/models/drawer/promote", json={"reason": "better"})
    assert answer.status_code == 200, answer.text
    assert (answer.json["before"], answer.json["after"]) == ("default@1", "drawer@1")
    assert olga.post("/api/v1/models/drawer@1/promote", json={}).json["id"] == answer.json["id"]
    assert vera.get("/api/v1/aliases").json["data"][0]["rolls_back_to"] == "default@1"
    body = {"version": "drawer@1", "reason": "worse"}
    rolled = [olga.post("/api/v1/aliases/production/rollback", json=body) for _ in range(2)]
    assert [(one.status_code, one.json["after"]) for one in rolled] == [(200, "default@1")] * 2
    refused = olga.post("/api/v1/aliases/production/rollback", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert vera.get("/api/v1/models/drawer").json["aliases"] == []

    page = vera.get("/api/v1/aliases/production/moves?limit=1").json
    assert [(one["kind"], one["actor_name"], one["reason"]) for one in page["data"]] == [
        ("rollback", "olga", "worse")
    ]
    older = vera.get(f"/api/v1/aliases/production/moves?before={page['next']}").json
    assert ([one["kind"] for one in older["data"]], older["next"]) == (["promote"], None)


def test_only_operators_move_delete_and_read_the_audit(
    sqlite_place: Place, drawers: list[ModelVersion]
) -> None:
    for role in (Role.VIEWER, Role.SUBMITTER):
        script = sqlite_place.script(role.value, role)
        answers = [
            script.post("/api/v1/models/drawer/promote", json={}),
            script.post("/api/v1/aliases/production/rollback", json={}),
            script.ask("DELETE", "/api/v1/models/drawer@1"),
            script.get("/api/v1/audit"),
        ]
        assert [(one.status_code, one.json["code"]) for one in answers] == [(403, "not_allowed")] * 4
        browser = sqlite_place.browser(role.value, role)
        assert browser.post("/models/drawer@1/promote").status_code == 403
        assert browser.post("/models/drawer@1/delete").status_code == 403
        assert browser.post("/aliases/production/rollback", version="default@1").status_code == 403
        assert "Promote…" not in browser.get("/models/drawer@1").text
    admin = sqlite_place.script("root", Role.ADMIN)
    admin.post("/api/v1/models/drawer/promote", json={})
    entries = admin.get("/api/v1/audit?subject=drawer@2").json["data"]
    assert [(one["action"], one["actor_name"]) for one in entries] == [("model.promote", "root")]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("models/nothing/promote", {}, "There is no model 'nothing'"),
        ("models/drawer/promote", {"alias": "drawer"}, "is the name of a model"),
        ("models/drawer/promote", {"alias": "x y"}, "no name for an alias"),
        ("models/drawer/promote", {"alias": "x", "more": 1}, "more"),
        ("aliases/nothing/rollback", {}, "There is no alias 'nothing'"),
    ],
)
def test_moves_that_mean_nothing_are_problems(
    sqlite_place: Place, drawers: list[ModelVersion], path: str, body: dict[str, object], words: str
) -> None:
    answer = sqlite_place.script("olga", Role.OPERATOR).post(f"/api/v1/{path}", json=body)
    assert answer.status_code in (400, 404)
    assert words in answer.json["detail"]


def test_a_version_is_deleted_once_and_shown_no_more(
    sqlite_place: Place, drawers: list[ModelVersion]
) -> None:
    olga = sqlite_place.script("olga", Role.OPERATOR)
    would = olga.ask("DELETE", "/api/v1/models/drawer@1?dry_run=true").json
    assert (would["deleted"], would["in_use"], would["files"]) == (
        False,
        [],
        ["config.json", "model.safetensors"],
    )
    assert [olga.ask("DELETE", "/api/v1/models/drawer@1").status_code for _ in range(2)] == [200, 200]
    refused = olga.ask("DELETE", "/api/v1/models/default@1")
    assert (refused.status_code, "production points at it" in refused.json["detail"]) == (409, True)
    labels = [model["label"] for model in olga.get("/api/v1/models").json["data"]]
    assert labels == ["drawer@2", "default@1"]
    for path in ("", "/lineage", "/evaluations", "/export", "/files/config.json"):
        assert olga.get(f"/api/v1/models/drawer@1{path}").status_code == 404
    browser = sqlite_place.browser("olga", Role.OPERATOR)
    assert browser.get("/models/drawer@1").status_code == 404
    assert "drawer@1" not in browser.get("/models").text


def test_a_version_comes_as_an_archive_of_its_folder(
    sqlite_place: Place, drawers: list[ModelVersion]
) -> None:
    ada = sqlite_place.script()
    answer = ada.get("/api/v1/models/drawer@2/export")
    assert answer.headers["Content-Length"] == str(len(answer.data))
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert archive.testzip() is None
    assert archive.read("drawer-2/model.safetensors") == b"two"
    sqlite_place.store.delete(drawers[1].files[0]["key"])
    assert ada.get("/api/v1/models/drawer@2/export").status_code == 404


def test_lineage_evaluations_and_comparisons_are_told(sqlite_place: Place, tmp_path: Path) -> None:
    registry = registry_of(sqlite_place, tmp_path)
    dataset = registry.dataset()
    parent = registry.trained("drawer", b"one", dataset_version_id=dataset.id)
    child = registry.trained("drawer", b"two", dataset_version_id=dataset.id, parent_id=parent.id)
    registry.evaluation(parent, dataset, {"retrieval.r1": metric(0.1, 0.05, 0.15)})
    registry.evaluation(child, dataset, {"retrieval.r1": metric(0.3, 0.25, 0.35), "lpips": metric(0.4)})
    vera = sqlite_place.script("vera", Role.VIEWER)
    told = vera.get("/api/v1/models/drawer@2/lineage").json
    assert (told["parent"]["label"], told["dataset"], told["children"]) == ("drawer@1", "clips@1", [])
    assert vera.get("/api/v1/models/drawer@1/lineage").json["children"][0]["label"] == "drawer@2"
    assert vera.get("/api/v1/models/drawer@2/evaluations").json["data"][0]["metrics"]["lpips"]["value"] == 0.4
    (compared,) = vera.get("/api/v1/models/drawer@2/comparison/drawer@1").json["data"]
    by_name = {one["name"]: one for one in compared["metrics"]}
    assert (by_name["retrieval.r1"]["better"], by_name["retrieval.r1"]["certain"]) == ("first", True)
    assert by_name["retrieval.r1"]["difference"] == pytest.approx(0.2)
    assert (by_name["lpips"]["second"], by_name["lpips"]["better"]) == (None, None)
    headline = vera.get("/api/v1/models").json["data"][0]["headline"]
    assert (headline["name"], headline["value"], headline["dataset"]) == ("retrieval.r1", 0.3, "clips@1")


def test_pages_of_models_say_what_is_known_and_refuse_in_words(
    sqlite_place: Place, drawers: list[ModelVersion], tmp_path: Path
) -> None:
    registry = registry_of(sqlite_place, tmp_path)
    ears, _ = registry.halves()
    browser = sqlite_place.browser("olga", Role.OPERATOR)
    assert "Not measured yet" in browser.get("/models/drawer@2").text
    assert "Nothing to compare" in browser.get("/models/compare?a=drawer@1&b=drawer@2").text
    assert browser.get("/models/compare?a=drawer@1&b=nothing").status_code == 404
    refused = browser.post(f"/models/{ears.label}/promote", alias="production")
    assert (refused.status_code, "draws nothing by itself" in refused.text) == (400, True)
    assert browser.post("/models/drawer@2/promote", alias="production", reason="r").status_code == 303
    page = browser.get("/models/drawer@2/delete").text
    assert "The alias production points at it." in page
    assert browser.post("/models/drawer@2/delete").status_code == 409
    late = browser.post("/aliases/production/rollback", version="drawer@1")
    assert (late.status_code, "points at drawer@2 by now" in late.text) == (409, True)
    assert browser.post("/aliases/production/rollback", version="drawer@2").status_code == 303


def test_a_card_of_strangers_can_do_nothing_on_our_page(sqlite_place: Place, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "stranger", b"weights")
    (folder / "README.md").write_text(
        "# Title\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![p](https://example.org/p.png) "
        "[ok](https://example.org)\n\n| a |\n| :-: |\n| <b onclick=x>b</b> |\n"
    )
    register_model(sqlite_place.database, sqlite_place.store, folder, name="stranger")
    text = sqlite_place.browser().get("/models/stranger@1").text
    card = text.partition("Model card</h2>")[2].partition("</section>")[0]
    assert "&lt;script&gt;" in card
    assert all(bad not in card for bad in ("<script", 'href="javascript', "<img", "<b ", "style="))
    assert 'href="https://example.org" rel="noopener noreferrer nofollow"' in card
