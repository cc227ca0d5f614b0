"""Signing in leads to the page that was wanted, and nowhere else; a piece of a page is never a sign-in page."""

from __future__ import annotations

import html
import re

import pytest
from werkzeug.test import TestResponse

from core.people.passwords import set_password
from tests.dashboard.conftest import Browser, Place

WORDS = "four plain words here"


def sign_in_after(place: Place, asked: TestResponse) -> TestResponse:
    """Follows a page that sent ada to sign in, and fills in the form it shows."""
    browser = Browser(place.app)
    assert asked.status_code == 303
    form = browser.get(asked.location).text
    found = re.search(r'name="next" value="([^"]*)"', form)
    fields = {"next": html.unescape(found[1])} if found else {}
    return browser.post("/sign-in", name="ada", password=WORDS, **fields)


@pytest.fixture
def known_place(sqlite_place: Place) -> Place:
    set_password(sqlite_place.database, sqlite_place.user("ada"), WORDS)
    return sqlite_place


def test_a_link_that_was_sent_to_somebody_is_opened_once_they_are_in(known_place: Place) -> None:
    job_id = known_place.script().job(1)
    wanted = f"/jobs/{job_id}?show=failed&error_code=no_speech"
    asked = known_place.app.test_client().get(wanted)
    assert sign_in_after(known_place, asked).location == wanted
    # Without a page that was asked for, by name or by default, it is the list of jobs.
    for path in ("/", "/jobs"):
        asked = known_place.app.test_client().get(path)
        assert asked.location == "/sign-in"
        assert sign_in_after(known_place, asked).location == "/jobs"


def test_a_wrong_password_forgets_nothing_of_the_way(known_place: Place) -> None:
    browser = Browser(known_place.app)
    browser.get("/sign-in?next=/models")
    refused = browser.post("/sign-in", name="ada", password="not her words", next="/models")
    assert refused.status_code == 403
    assert 'name="next" value="/models"' in refused.text


def test_a_one_time_link_leads_to_what_was_wanted_before_it_was_opened(known_place: Place) -> None:
    browser = Browser(known_place.app)
    browser.get(browser.get("/datasets").location)
    link = known_place.link()
    browser.get(link)
    assert browser.post(link).location == "/datasets"
    # It was for this once.
    other = known_place.link()
    browser.get(other)
    assert browser.post(other).location == "/jobs"


def test_whoever_is_in_already_goes_on_to_the_page(known_place: Place) -> None:
    assert known_place.browser().get("/sign-in?next=/models").location == "/models"


@pytest.mark.parametrize(
    "given",
    [
        "https://evil.example/",
        "//evil.example/jobs",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "jobs",
        "/nowhere",
        "/sign-out",
        "/sign-in/provider",
        "/api/v1/me",
        "/jobs/\r\nSet-Cookie: a=b",
        "/jobs/job_1/cancel",  # only ever sent by a form
        "/models?" + "x" * 3000,
    ],
)
def test_nobody_is_led_out_of_this_place(known_place: Place, given: str) -> None:
    browser = Browser(known_place.app)
    page = browser.client.get("/sign-in", query_string={"next": given})
    assert 'name="next"' not in page.text
    browser.get("/sign-in")
    assert browser.post("/sign-in", name="ada", password=WORDS, next=given).location == "/jobs"


def test_a_form_that_was_sent_too_late_says_so_and_leads_back_to_its_page(known_place: Place) -> None:
    asked = known_place.app.test_client().post(
        "/account/tokens", data={"name": "nightly"}, headers={"Referer": "http://localhost/account"}
    )
    assert "was not taken" in Browser(known_place.app).get(asked.location).text
    assert sign_in_after(known_place, asked).location == "/account"
    elsewhere = known_place.app.test_client().post(
        "/account/tokens", data={"name": "nightly"}, headers={"Referer": "https://evil.example/account"}
    )
    assert sign_in_after(known_place, elsewhere).location == "/jobs"


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {"Sec-Fetch-Dest": "empty"}])
def test_a_script_that_asks_for_a_piece_of_a_page_gets_no_sign_in_page_for_it(
    known_place: Place, headers: dict[str, str]
) -> None:
    job_id = known_place.script().job(1)
    for path in (f"/jobs/{job_id}/summary", f"/jobs/{job_id}/tiles", "/workers/rows", "/jobs/rows"):
        answer = known_place.app.test_client().get(path, headers=headers)
        assert answer.status_code == 401, path
        assert "You were signed out" in answer.text
        assert 'name="password"' not in answer.text


def test_the_tab_of_a_job_says_how_far_it_is(known_place: Place) -> None:
    job_id = known_place.script().job(4, name="Interviews")
    browser, worker = known_place.browser(), known_place.worker()

    def titles() -> set[str]:
        page = browser.get(f"/jobs/{job_id}").text
        summary = browser.get(f"/jobs/{job_id}/summary").text
        return {*re.findall(r"<title>([^<]*)", page), *re.findall(r'data-title="([^"]*)"', page + summary)}

    assert titles() == {"0 % · Interviews · voicesketch"}
    worker.step(size=3)
    assert titles() == {"75 % · Interviews · voicesketch"}
    worker.run()
    assert titles() == {"Interviews · voicesketch"}
