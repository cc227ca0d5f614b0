"""Pages in another language: what can be translated is found, and a catalogue that is there is used."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from flask import Flask, render_template, render_template_string

from core.estimates import Estimate
from core.people.accounts import Role
from dashboard.message_sources import Message, messages, template
from dashboard.recognising import Shapes
from dashboard.rendering import number, size
from dashboard.spoken import estimate_words, expression_words
from dashboard.translation import register_translation
from tests.catalogues import write_catalogue
from tests.conftest import REPOSITORY
from tests.dashboard.conftest import Place

TEMPLATES = REPOSITORY / "dashboard" / "templates"


@pytest.fixture
def german(tmp_path: Path) -> Flask:
    write_catalogue(
        tmp_path,
        "de",
        {"Sign out": "Abmelden", "How %(label)s fares": "Wie %(label)s abschneidet"},
    )
    app = Flask("elsewhere")
    register_translation(app, tmp_path)
    return app


def test_a_page_is_in_the_language_that_the_browser_asks_for_and_that_is_there(german: Flask) -> None:
    source = (
        "{{ language() }}: {% trans %}Sign out{% endtrans %}, "
        "{% trans label=who %}How {{ label }} fares{% endtrans %}"
    )
    for asked, shown in (
        ("de-AT,de;q=0.9,en;q=0.5", "de: Abmelden, Wie &lt;b&gt; abschneidet"),
        ("en-GB,de;q=0.5", "en: Sign out, How &lt;b&gt; fares"),
        ("fr", "en: Sign out, How &lt;b&gt; fares"),
    ):
        with german.test_request_context(headers={"Accept-Language": asked}):
            assert render_template_string(source, who="<b>") == shown


def test_every_message_is_found_with_the_place_where_it_stands(tmp_path: Path) -> None:
    own = tmp_path / "templates"
    own.mkdir()
    plural = "{% trans count=n %}{{ count }} hour{% pluralize %}{{ count }} hours{% endtrans %}"
    (own / "t.html").write_text(f"<p>\n{plural}</p>")
    found = list(messages())
    texts = {message.text for message in found}
    assert {"Skip to the content", "Sign out", "There is nothing here", "Workers"} <= texts  # of the frame
    assert {
        "Done, some without a face",
        "VE_conv",
        "Finds the face of a voice among 2",
    } <= texts  # of tables of words
    assert {
        "This job has already ended ({value}); there is nothing to cancel.",  # of an error
        "You may not do this.",  # of a kind of error
        "Choose at least one picture.",  # of a script
        "Learning rate over time",  # of a setting
        "Only admins do this.",  # of a module of sentences
        "Face decoder, as the original",  # of a preset
        "{shares}, seed {seed}",  # put together for a page
    } <= texts
    assert Message("{count} B", None, "dashboard/rendering.py") not in found
    assert Message("{count} second", "{count} seconds", "") in {
        Message(message.text, message.plural, "") for message in found
    }
    (skip,) = (message for message in found if message.text == "Skip to the content")
    assert re.fullmatch(r"dashboard/templates/base\.html:\d+", skip.place)
    assert Message("%(count)s hour", "%(count)s hours", f"{own}/t.html:2") in list(messages(own))
    assert not any(re.search(r"\s{2}|\n", message.text) for message in found)


def test_a_message_is_listed_once_with_all_its_places() -> None:
    found = [
        Message('Say "A"', None, "a:1"),
        Message("%(n)s day", "%(n)s days", "a:2"),
        Message('Say "A"', None, "b:3"),
    ]
    assert template(iter(found)).split("\n\n", 1)[1].strip() == "\n".join(
        (
            "#: a:1 b:3",
            'msgid "Say \\"A\\""',
            'msgstr ""',
            "",
            "#: a:2",
            'msgid "%(n)s day"',
            'msgid_plural "%(n)s days"',
            'msgstr[0] ""',
            'msgstr[1] ""',
        )
    )


@pytest.mark.parametrize(
    "file", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES))
)
def test_no_sentence_of_a_template_stands_outside_of_a_message(file: Path) -> None:
    source = file.read_text("utf-8")
    for pattern in (r"\{#.*?#\}", r"\{%-?\s*trans\b.*?\{%-?\s*endtrans.*?%\}"):
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    # Words in expressions: what has a space or begins with a capital is written for people.
    for expression in re.findall(r"\{[{%](.*?)[}%]\}", source, re.DOTALL):
        bare = re.sub(r"""(?:\b_\(|== )(['"]).*?\1""", "", expression)
        texts = re.findall(r"""(['"])(.*?)\1""", bare)
        assert [text for _, text in texts if re.search(r"^[A-Z][a-z]|[a-z] [a-z]", text)] == [], file
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", source, flags=re.DOTALL)
    attributes = re.findall(
        r"\b(?:aria-label|placeholder|title|alt|data-label|data-ask)=\"([^\"]*)\"", source
    )
    assert [text for text in attributes if re.search(r"[a-z]{2,}\b(?!://)", text)] == [], file
    for pattern in (r"<(code|pre)\b.*?</\1>", r"<[!/a-zA-Z][^<>]*>", r"&\w+;"):
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    assert re.findall(r"[A-Z]?[a-z]+", source.replace("voicesketch", "")) == [], file


def test_the_frame_says_its_language(sqlite_place: Place) -> None:
    browser = sqlite_place.browser("ada", Role.ADMIN)
    page = browser.get("/jobs", headers={"Accept-Language": "de"}).text
    assert '<html lang="en">' in page  # which is all there is so far
    with sqlite_place.app.test_request_context("/"):
        assert "There is nothing here" in render_template("error.html", status=404, phrase="", detail="")


def test_pages_and_their_tables_of_words_are_in_the_language_that_is_asked_for(
    sqlite_place: Place, tmp_path: Path
) -> None:
    words = {
        "Rules": "Regeln",
        "Checkpoints of trainings": "Zwischenstände von Trainings",
        "Any": "Jeder",
        "At work": "In Arbeit",
        "<b>%(done)s</b> of %(total)s face\0<b>%(done)s</b> of %(total)s faces": (
            "<b>%(done)s</b> von %(total)s Gesicht\0<b>%(done)s</b> von %(total)s Gesichtern"
        ),
    }
    write_catalogue(tmp_path, "de", words)
    register_translation(sqlite_place.app, tmp_path)
    browser = sqlite_place.browser("ada", Role.ADMIN)
    sqlite_place.script().job(2, name="<choir>")
    asked = {"Accept-Language": "de"}
    retention = browser.get("/retention", headers=asked).text
    assert '<html lang="de">' in retention
    assert ">Regeln<" in retention
    assert ">Zwischenstände von Trainings<" in retention
    jobs = browser.get("/jobs", headers=asked).text
    assert ">Jeder</option>" in jobs
    assert ">In Arbeit</option>" in jobs
    assert "<b>0</b> von 2 Gesichtern" in jobs
    assert 'aria-label="Choose &lt;choir&gt;"' in jobs  # what the catalogue lacks is in English
    assert "<b>0</b> of 2 faces" in browser.get("/jobs").text


def test_a_sentence_is_recognised_with_its_values_in_it() -> None:
    shapes = Shapes(
        iter(
            (
                "The model {name} is not known.",
                "The model {name} is not known. Models like it: {names}.",
                "{count} of the recordings are not here: send them first.",
                "{a}: {b}",  # would be anything
                "A brace {{ and {name} beside it",
            )
        )
    )
    for text, message, values in (
        ("The model a.b@1 is not known.", "The model {name} is not known.", {"name": "a.b@1"}),
        (
            "The model x is not known. Models like it: y, z.",
            "The model {name} is not known. Models like it: {names}.",
            {"name": "x", "names": "y, z"},
        ),
        ("3 of the recordings are not here: send them first.", None, {"count": "3"}),
        ("A brace { and x beside it", "A brace {{ and {name} beside it", {"name": "x"}),
    ):
        found = shapes.find(text)
        assert found is not None, text
        assert found[1] == values
        assert message is None or found[0] == message
    assert shapes.find("anything: else") is None
    assert shapes.find("The model x is known.") is None
    assert shapes.find("The model " + "x" * 5000 + " is not known.") is None  # too long to look at


def test_a_recognised_sentence_costs_little_however_it_is_made() -> None:
    shapes = Shapes(iter(["{a} and {b} and {c} and {d} and {e} go their own ways."]))
    began = time.process_time()
    assert shapes.find("x and " * 330) is None
    assert time.process_time() - began < 2


def test_people_are_refused_in_their_language_and_programs_in_english(
    sqlite_place: Place, tmp_path: Path
) -> None:
    words = {
        "This job has already ended ({value}); there is nothing to cancel.": "Schon zu Ende ({value}).",
        "A label is a name, and may be empty.": "-",
        "1,234.5": "1.234,5",
        "{count} MB": "{count} Megabyte",
        "About {time}, at {rate} a second.": "Etwa {time}, {rate} je Sekunde.",
        "{count} minute\0{count} minutes": "{count} Minute\0{count} Minuten",
    }
    write_catalogue(tmp_path, "de", words)
    register_translation(sqlite_place.app, tmp_path)
    browser, script = sqlite_place.browser("ada", Role.ADMIN), sqlite_place.script("ada", Role.ADMIN)
    job_id = script.job(1)
    sqlite_place.worker().run()
    german = {"Accept-Language": "de"}
    asked = f"/api/v1/jobs/{job_id}/cancel"
    assert "already ended (completed)" in script.post(asked, headers=german).get_json()["detail"]
    refused = browser.client.post(asked, headers={**german, "X-CSRF-Token": browser.csrf})
    assert refused.get_json()["detail"] == "Schon zu Ende (completed)."
    with sqlite_place.app.test_request_context(headers=german):
        assert size(12_345_600_000) == "12 GB"
        assert size(2_345_678) == "2,3 Megabyte"
        assert number(1234567) == "1.234.567"
        found = Estimate("default@1", 5, 0, 0, 1, 1.5, 130.0)
        assert estimate_words(found) == "Etwa 2 Minuten, 1,5 je Sekunde."
        assert expression_words("0 3 * * *") == "Um 03:00"
    assert estimate_words(found) == found.sentence == "About 2 minutes, at 1.5 a second."
    for ahead, others in ((1, 0), (2, 1), (1200, 2)):
        found = Estimate("default@1", 5, ahead, others, 1, 1.5, 4000.0)
        assert estimate_words(found).replace("1 recording ", "1 recordings ") == found.sentence
