"""Two jobs over the same recordings side by side, on the page and for scripts."""

from __future__ import annotations

import pytest

from core import comparison
from core.ledger.database import now
from core.ledger.tables import ModelVersion
from core.people.accounts import Role
from core.queries import get_job
from tests.dashboard.conftest import SOUND, Place, Script


def second_model(place: Place) -> None:
    with place.database.write() as session:
        session.add(
            ModelVersion(
                id="model_default_2",
                name="default",
                version=2,
                sha256="1" * 64,
                files=[],
                config={},
                created_at=now(session),
            )
        )


def submit(script: Script, numbers: list[int], model: str = "default@1", name: str = "") -> str:
    items = [
        {"key": f"line {at}", "name": f"voice {n}.flac", "recording": script.send(SOUND + bytes([n]))}
        for at, n in enumerate(numbers)
    ]
    return str(script.submit(items, model=model, name=name).json["id"])


def test_recordings_stand_beside_each_other_whatever_their_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_ROWS_AT_ONCE", 2)
    second_model(place)
    ada, bob = place.script(), place.script("bob")
    first = submit(ada, [0, 1, 2, 3, 4, 5, 6])
    second = submit(ada, [6, 4, 2, 9, 0, 4], "default@2")
    place.worker().run()
    path = f"/api/v1/jobs/{first}/comparison"
    page = ada.get(f"{path}/{second}").json
    assert [pair["first"]["name"] for pair in page["data"]] == [f"voice {n}.flac" for n in (0, 2, 4, 6)]
    assert [pair["second"]["position"] for pair in page["data"]] == [4, 2, 1, 0]
    assert page["next"] is None
    assert all(pair["first"]["face_url"] != pair["second"]["face_url"] for pair in page["data"])
    seen, after = [], -1
    while after is not None:
        one = ada.get(f"{path}/{second}?limit=1&after={after}").json
        seen += [pair["first"]["position"] for pair in one["data"]]
        after = one["next"]
    assert seen == [0, 2, 4, 6]
    assert [job["id"] for job in ada.get(path).json["data"]] == [second]
    eve = place.script("eve", Role.VIEWER)
    assert len(eve.get(f"{path}/{second}").json["data"]) == 4
    theirs = submit(bob, [0])
    assert ada.get(f"{path}/{theirs}").status_code == 404
    assert [job["id"] for job in ada.get(path).json["data"]] == [second]
    assert bob.get(f"{path}/{second}").status_code == bob.get(path).status_code == 404
    assert ada.get(f"{path}/{first}").status_code == 400
    assert ada.get(f"{path}/{second}?shown=nothing").status_code == 400


def test_a_long_walk_without_a_hit_ends_with_a_place_to_go_on(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_SPAN", 4)
    ada = sqlite_place.script()
    first, second = submit(ada, list(range(9))), submit(ada, [8])
    path = f"/api/v1/jobs/{first}/comparison/{second}"
    assert ada.get(path).json == {"data": [], "next": 3}
    assert ada.get(f"{path}?after=3").json["next"] == 7
    last = ada.get(f"{path}?after=7").json
    assert ([pair["first"]["position"] for pair in last["data"]], last["next"]) == ([8], None)


def test_jobs_of_one_recording_many_times_are_compared_without_all_their_pairs(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    sha256 = ada.send()
    items = [{"key": f"{number}", "recording": sha256} for number in range(3000)]
    first, second = (str(ada.submit(items).json["id"]) for _ in range(2))
    rows = 0

    def count(*_: object) -> None:
        nonlocal rows
        rows += 1

    with sqlite_place.database.read() as session:
        user = sqlite_place.users["ada"]
        jobs = [get_job(session, user, job_id) for job_id in (first, second)]
        driver = session.connection().connection.driver_connection
        driver.set_progress_handler(count, 1000)  # called for so many steps of the database
        found = comparison.compare_jobs(session, *jobs, shown="faces")
        driver.set_progress_handler(None, 0)
    assert (found.pairs, found.next) == ([], None)
    assert 0 < rows < 2000  # the nine million pairs alone would be some ten thousand


def test_the_page_shows_where_only_one_has_a_face(sqlite_place: Place) -> None:
    second_model(sqlite_place)
    ada = sqlite_place.script()
    first = submit(ada, [0, 1, 2], name="before")
    sqlite_place.worker().run()
    second = submit(ada, [0, 1, 2], "default@2", name="after")
    browser = sqlite_place.browser("ada")
    chosen = browser.get(f"/jobs/{first}/compare").text
    assert f"/jobs/{first}/compare/{second}" in chosen
    page = browser.get(f"/jobs/{first}/compare/{second}").text
    assert page.count('class="compare-pair"') == 3
    assert "default@1" in page
    assert "default@2" in page
    assert (
        "There is no recording of which both have a face"
        in browser.get(f"/jobs/{first}/compare/{second}?shown=faces").text
    )
    alone = browser.get(f"/jobs/{first}/compare/{second}/rows?shown=one_face").text
    assert alone.count('class="compare-pair"') == 3
    sqlite_place.worker().run()
    assert "Face guessed by default@2" in browser.get(f"/jobs/{first}/compare/{second}?shown=faces").text
    assert browser.get(f"/jobs/{first}/compare?with={second}").status_code == 303
    assert browser.get(f"/jobs/{first}/compare/{first}").status_code == 400
    assert browser.get(f"/jobs/{first}/compare/none").status_code == 404
    # The same recordings by the same model are the very same faces.
    third = submit(ada, [0, 1])
    sqlite_place.worker().run()
    assert browser.get(f"/jobs/{first}/compare/{third}").text.count("the same picture") == 2
