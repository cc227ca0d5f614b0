"""What is asked before a job is made: manifests, what is here already, and how long it would take."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.ledger.database import now
from core.ledger.tables import Attempt, Worker
from core.people.accounts import Role
from dashboard.api import sources
from tests.dashboard.conftest import SOUND, Place, Script


def check(script: Script, text: str | bytes, name: str = "m.csv") -> dict[str, list[dict[str, object]]]:
    answer = script.post(f"/api/v1/manifests/check?name={name}", data=text)
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_a_manifest_is_told_line_by_line_and_every_bad_line_has_its_number(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    good = check(ada, "\ufeffkey;file\n7;there/a b.wav\n\nnine;c.wav\n")
    assert good["problems"] == []
    assert good["lines"] == [
        {"line": 2, "key": "7", "path": "there/a b.wav"},
        {"line": 4, "key": "nine", "path": "c.wav"},
    ]
    bad = check(ada, "key,file\nx,a.wav\n,b.wav\nx,c.wav\ny,\nz,d.wav,e,f\n")
    assert [(one["line"], str(one["problem"]).split(" ")[0]) for one in bad["problems"]] == [
        (3, "has"),
        (4, "uses"),
        (5, "names"),
        (6, "has"),
    ]
    assert bad["problem_count"] == 4
    lines = check(ada, '{"key": 1, "path": "a"}\nnonsense\n[]\n', "m.jsonl")
    assert [one["line"] for one in lines["problems"]] == [2, 3]


def test_what_is_no_manifest_at_all_is_said_of_its_first_line(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    for text in (b"", b"\xff\xfek\0", "speaker,age\n1,2\n", "key,file\n"):
        told = check(ada, text)
        assert (told["lines"], told["problem_count"]) == ([], 1), text
        assert told["problems"][0]["line"] == 1


def test_a_manifest_larger_than_a_form_is_read_and_a_huge_one_is_refused(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sqlite_place.script()
    many = "key,file\n" + "".join(f"{n},a folder with a long name/recording {n}.wav\n" for n in range(40_000))
    assert len(many) > 2**20
    assert len(check(ada, many)["lines"]) == 40_000
    monkeypatch.setattr(sources, "MOST_MANIFEST_BYTES", 1000)
    assert ada.post("/api/v1/manifests/check", data=many).status_code == 413


def test_only_what_somebody_sent_themselves_is_known_to_them(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    hers, his = ada.send(SOUND + b"a"), bob.send(SOUND + b"b")
    asked = {"recordings": [his, "0" * 64, hers, hers]}
    assert ada.post("/api/v1/recordings/check", json=asked).json == {"known": [hers]}
    assert ada.post("/api/v1/recordings/check", json={"recordings": ["x"]}).status_code == 400


def test_no_time_is_made_up_where_nothing_was_measured(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    nobody = ada.get("/api/v1/estimate?items=10").json
    assert (nobody["workers"], nobody["seconds"]) == (0, None)
    assert "No worker has been at work here yet" in nobody["sentence"]
    sqlite_place.worker()
    unmeasured = ada.get("/api/v1/estimate?items=10").json
    assert (unmeasured["workers"], unmeasured["seconds"], unmeasured["items_per_second"]) == (1, None, None)
    assert "default@1 has not drawn anything here so far" in unmeasured["sentence"]
    assert ada.get("/api/v1/estimate?model=nothing").status_code == 400
    large = ada.get("/api/v1/estimate?items=100001").json
    assert large["refused"] == "A job takes at most 100,000 recordings; this one has 100,001. Split it."
    assert large["refused_code"] == "invalid_request"


def test_the_time_follows_from_what_workers_did_and_from_what_waits(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    ada.job(4)
    worker = place.worker()
    worker.run(size=2)
    with place.database.write() as session:
        # Two chunks of two that overlap: four recordings in eight seconds of one worker.
        at = now(session)
        for number, attempt in enumerate(session.query(Attempt).order_by(Attempt.token)):
            attempt.started_at = at - timedelta(seconds=100 - 3 * number)
            attempt.progress_at = attempt.started_at + timedelta(seconds=5)
    alone = ada.get("/api/v1/estimate?items=10").json
    assert (alone["items_per_second"], alone["seconds"], alone["items_ahead"]) == (0.5, 20.0, 0)
    assert alone["sentence"] == "About 20 seconds, at 0.5 a second."

    # Owners are served in turn: of what bob has, no more goes before than ada has herself.
    bob.job(6)
    assert ada.get("/api/v1/estimate?items=4").json["items_ahead"] == 4
    assert ada.get("/api/v1/estimate?items=10").json["items_ahead"] == 6
    assert bob.get("/api/v1/estimate?items=1").json["items_ahead"] == 6
    assert ada.get("/api/v1/estimate?items=10&priority=-5").json["items_ahead"] == 6
    assert ada.get("/api/v1/estimate?items=10&priority=5").json["items_ahead"] == 0

    # A second worker halves it; one that is being drained does not.
    place.worker()
    assert ada.get("/api/v1/estimate?items=10").json["seconds"] == 16.0
    with place.database.write() as session:
        session.get_one(Worker, worker.id).draining_at = now(session)
    assert ada.get("/api/v1/estimate?items=10").json["seconds"] == 32.0


def test_who_only_looks_may_ask_how_long_it_would_take(sqlite_place: Place) -> None:
    eve = sqlite_place.script("eve", Role.VIEWER)
    assert eve.get("/api/v1/estimate").status_code == 200
