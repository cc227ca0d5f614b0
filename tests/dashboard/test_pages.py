"""Pages as they come from the server, without their scripts."""

from __future__ import annotations

import re

from werkzeug.test import TestResponse

from core.people.accounts import Role
from tests.dashboard.conftest import Place

HONEST = "a model’s guess"


def test_an_empty_place_says_what_to_do_next(sqlite_place: Place) -> None:
    page = sqlite_place.browser().get("/jobs").text
    assert "No faces yet" in page
    assert 'href="/new"' in page


def test_every_page_says_what_faces_are(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    job_id = sqlite_place.script().job(1)
    for path in ("/jobs", "/new", f"/jobs/{job_id}", "/sign-in/x", "/nowhere"):
        assert HONEST in browser.get(path).text, path


def test_the_page_of_a_job_works_without_scripts(place: Place) -> None:
    ada, browser = place.script(), place.browser()
    job_id = ada.job(3)
    place.worker(refuse=lambda item: ("no_speech", "Nothing is heard.") if "1" in item.name else None).run()
    page = browser.get(f"/jobs/{job_id}").text
    assert len(re.findall(r'<li class="tile tile-done"', page)) == 2
    assert "Nothing is heard." in page
    assert "Retry 1 failed" in page
    assert browser.get(f"/jobs/{job_id}?show=failed").text.count('class="tile ') == 1
    assert browser.post(f"/jobs/{job_id}/retry", which="failed").location == f"/jobs/{job_id}"
    assert ada.get(f"/api/v1/jobs/{job_id}").json["state"] == "queued"
    assert browser.post(f"/jobs/{job_id}/pause").status_code == 303
    assert "Resume" in browser.get(f"/jobs/{job_id}/summary").text
    assert browser.post(f"/jobs/{job_id}/resume").status_code == 303
    assert browser.post(f"/jobs/{job_id}/cancel").status_code == 303
    assert "Continue the cancelled" in browser.get(f"/jobs/{job_id}").text


def test_a_button_pressed_too_late_says_so_and_shows_how_things_stand(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    job_id = ada.job(1)
    browser.get(f"/jobs/{job_id}")
    sqlite_place.worker().run()
    answer = browser.client.post(
        f"/jobs/{job_id}/cancel", headers={"HX-Request": "true"}, data={"csrf_token": browser.csrf}
    )
    assert answer.status_code == 200
    assert "already ended" in answer.text
    assert 'id="summary"' in answer.text


def test_a_long_job_is_shown_piece_by_piece(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    items = [{"key": f"k{n}", "error_code": "missing_file", "error_message": "Gone."} for n in range(130)]
    job_id = ada.submit(items).json["id"]
    page = browser.get(f"/jobs/{job_id}").text
    seen = len(re.findall(r'<li class="tile ', page))
    while (more := re.search(r'hx-get="(/jobs/[^"]+/tiles[^"]+)"', page)) is not None:
        page = browser.get(more[1].replace("&amp;", "&")).text
        seen += len(re.findall(r'<li class="tile ', page))
    assert seen == 130


def test_tiles_of_another_job_are_nothing_here(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    first, second = ada.job(2), ada.job(1)
    ids = [item["id"] for item in ada.get(f"/api/v1/jobs/{first}/items").json["data"]]
    shown = browser.get(f"/jobs/{first}/tiles?ids={ids[0]},{ids[1]}")
    assert (shown.status_code, shown.text.count("voice 0.flac") > 0) == (200, True)
    for strange in (f"{ids[0]}", "", "no-number", "9" * 30):
        answer = browser.get(f"/jobs/{second}/tiles?ids={strange}")
        assert (answer.status_code, answer.text) == (200, ""), strange


def test_lost_pages_are_pages_too(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    for path, status in (("/nowhere", 404), ("/jobs/job_x", 404), ("/jobs/job_x/cancel", 405)):
        answer = browser.get(path)
        assert answer.status_code == status
        assert answer.mimetype == "text/html"
        assert "To the jobs" in answer.text


def test_the_first_page_is_light(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    page = browser.get("/jobs")
    weight = len(page.data)
    for address in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"] or "/js/" in address
        weight += len(answer.data)
    assert weight < 150_000


def test_a_button_of_another_page_says_once_what_it_did(sqlite_place: Place) -> None:
    root = sqlite_place.browser("root", Role.ADMIN)
    ada = sqlite_place.user("ada")

    def told(answer: TestResponse) -> str:
        assert answer.status_code == 303, answer.text
        return "".join(
            re.findall(r'<p class="notice" role="status">([^<]*)</p>', root.get(answer.location).text)
        )

    assert told(root.post(f"/people/{ada.id}/role", role="operator")) == "The role of ada is operator now."
    assert "shut out" in told(root.post(f"/people/{ada.id}/disable"))
    assert told(root.post(f"/people/{ada.id}/enable")) == "ada may sign in again."
    assert told(root.post("/models/default@1/promote", alias="trial")) == "trial points at default@1 now."
    assert "hourly round" in told(root.post("/retention", kind="faces", scope="", days="30"))
    assert told(root.post("/retention/remove", kind="faces", scope="")) == "The rule is taken back."
    assert 'class="notice"' not in root.get("/people").text


def test_a_button_pressed_too_late_says_so_without_scripts_too(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    job_id = ada.job(1)
    browser.get(f"/jobs/{job_id}")
    sqlite_place.worker().run()
    answer = browser.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 409
    assert "already ended" in answer.text


def test_every_state_on_a_page_is_said_in_words(sqlite_place: Place) -> None:
    ada, root = sqlite_place.script(), sqlite_place.browser("root", Role.ADMIN)
    job_id = ada.job(1)
    sqlite_place.worker().run()
    for path in ("/workers", "/health", "/jobs", f"/jobs/{job_id}"):
        chips = re.findall(r'<span class="chip [^>]*><i[^>]*></i>([^<]*)<', root.get(path).text)
        assert chips and all(words.strip() for words in chips), (path, chips)


def test_the_end_of_a_long_name_stays_in_sight(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    names = ["03-01-01-01-01-01-07.flac", "03-01-01-01-01-01-08.flac", "kettle.flac"]
    job_id = ada.submit([{"key": n, "name": n, "recording": ada.send(n.encode())} for n in names]).json["id"]
    page = browser.get(f"/jobs/{job_id}").text
    assert re.findall(r'<span class="name-tail">([^<]*)', page) == ["01-07.flac", "01-08.flac"]
    assert ">kettle.flac</p>" in page
