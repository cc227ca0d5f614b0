"""The list of jobs: narrowed, sorted, walked through, and told of what moves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from core.ledger.tables import Job
from core.people.accounts import Role
from dashboard.api import events
from tests.dashboard.conftest import Place, Script


def names(script: Script, query: str = "") -> list[str]:
    answer = script.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 200, answer.text
    return [job["name"] for job in answer.json["data"]]


def test_the_list_is_narrowed_by_everything_it_offers(place: Place) -> None:
    ada, bob, ops = place.script(), place.script("bob"), place.script("ops", Role.OPERATOR)
    first = ada.job(1, name="Choir 100%", labels={"team": "müller"})
    ada.job(2, name="choir_b")
    bob.job(1, name="podcast")
    place.worker().run()
    ada.job(1, name="waits")
    assert names(ops) == ["waits", "podcast", "choir_b", "Choir 100%"]
    assert names(ops, "q=CHOIR") == ["choir_b", "Choir 100%"]
    assert names(ops, "q=100%25") == ["Choir 100%"]
    assert names(ops, "q=r_b") == ["choir_b"]
    assert names(ops, f"q={first}") == names(ops, "q=m%C3%BCll") == ["Choir 100%"]
    assert names(ops, "label=team%3Dm%C3%BCller") == ["Choir 100%"]
    assert names(ops, "label=team%3Dnobody") == []
    assert names(ops, "state=queued,running") == ["waits"]
    assert names(ops, "owner=bob") == ["podcast"]
    assert names(ops, "owner=nobody") == names(ops, "kind=train") == names(ops, "model=default@9") == []
    assert len(names(ops, "model=default@1")) == len(names(ops, "model=default")) == 4
    assert names(ops, "since=2999-01-01") == []
    assert len(names(ops, "since=2020-01-01&kind=infer,train")) == 4
    assert names(ada, "q=podcast") == names(ada, "owner=bob") == []
    assert ops.get("/api/v1/jobs?since=yesterday").status_code == 400


def test_every_order_shows_every_job_once_page_by_page(place: Place) -> None:
    ada = place.script()
    for count, name in ((2, "b"), (1, "a"), (2, "c"), (1, "a")):
        ada.job(count, name=name)
    for sort in ("newest", "oldest", "name", "largest", "priority"):
        seen: list[tuple[str, int, str]] = []
        cursor = ""
        while True:
            page = ada.get(f"/api/v1/jobs?limit=1&sort={sort}{cursor}").json
            seen += [(job["name"], job["request_counts"]["total"], job["id"]) for job in page["data"]]
            if page["next"] is None:
                break
            cursor = f"&before={page['next']}"
        assert len(set(seen)) == 4 == len(seen)
        if sort == "name":
            assert [name for name, _, _ in seen] == ["a", "a", "b", "c"]
        if sort == "largest":
            assert [total for _, total, _ in seen] == [2, 2, 1, 1]
    for cursor in ("job_1", "e30=", "WzEsMl0=", "%00", "WyJ4Il0="):
        assert ada.get(f"/api/v1/jobs?sort=largest&before={cursor}").status_code == 400


def test_the_page_is_an_address_that_can_be_sent(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    for number in range(27):
        ada.job(1, name=f"choir {number}", labels={"team": "a&b"})
    ada.job(1, name="podcast")
    browser = sqlite_place.browser("ada")
    page = browser.get("/jobs?q=choir&sort=oldest&size=25").text
    assert 'value="choir"' in page
    assert page.count('class="job job-choosable"') == 25
    assert "podcast" not in page
    found = re.search(r'id="next-page" href="([^"]+)"', page)
    assert found
    following = browser.get(found[1].replace("&amp;", "&")).text
    assert [name in following for name in (">choir 25<", ">choir 26<", ">choir 3<")] == [True, True, False]
    assert browser.get("/jobs/rows?label=team%3Da%26b&size=50").text.count('class="job job-choosable"') == 27
    assert "No job fits" in browser.get("/jobs?q=nothing").text
    for wrong in ("state=asleep", "since=x", "sort=name&before=x"):
        assert 'role="alert"' in browser.get(f"/jobs?{wrong}").text


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.05)


def news(script: Script, query: str = "", **headers: str) -> Iterator[tuple[str, str, Any]]:
    answer = script.get(f"/api/v1/events{query}", headers=headers, buffered=False)
    assert answer.mimetype == "text/event-stream"
    for block in answer.iter_encoded():
        for event in block.decode().strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
            if "event" in fields:
                yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
    answer.close()


@pytest.mark.usefixtures("_quick")
def test_the_stream_names_the_jobs_that_moved_to_those_who_may_see_them(place: Place) -> None:
    ada, bob, ops = place.script(), place.script("bob"), place.script("ops", Role.OPERATOR)
    for_ada, for_ops = news(ada), news(ops)
    start = next(for_ada)
    assert start[1] == next(for_ops)[1] == "hello"
    theirs = bob.job(1)
    mine = ada.job(1)
    number, name, data = next(for_ada)
    assert (name, data) == ("jobs", {"ids": [mine], "more": False})
    assert int(number) > int(start[0])
    assert next(for_ops)[2]["ids"] == sorted([theirs, mine])
    again = news(ops, **{"Last-Event-ID": start[0]})
    next(again)
    assert next(again)[2]["ids"] == sorted([theirs, mine])
    place.worker().run()
    assert {next(again)[1], next(again)[1]} == {"jobs", "workers"}


@pytest.mark.usefixtures("_quick")
def test_who_is_far_behind_is_told_to_read_the_list_again(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.watching.news._MOST_MOVES", 2)
    ada = sqlite_place.script()
    stream = news(ada, "?since=0")
    ada.job(3)
    sqlite_place.worker().run()
    next(stream)
    assert next(stream)[2] == {"ids": [], "more": True}


def test_a_job_of_an_unusual_priority_says_so(sqlite_place: Place) -> None:
    job_id = sqlite_place.script().job(1)
    with sqlite_place.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(priority=-5))
    assert "priority -5" in sqlite_place.browser("ada").get("/jobs").text
