"""Pages of trainings, evaluations and analyses as they come from the server, without their scripts."""

from __future__ import annotations

import json
import re

from core.ledger.tables import Job, ModelVersion
from core.people.accounts import Role
from core.states import JobState
from core.training.presets import PRESETS
from core.training.specs import AnalyseSpec, EvaluateSpec
from dashboard.job_reports import metric_rows
from dashboard.spec_form import FormGroup, form_of
from tests.dashboard.conftest import Place
from tests.factories import Ledger
from tests.programs import Program

METRICS = {
    "matching.voice_to_face.2": {
        "value": 0.712,
        "low": 0.68,
        "high": 0.744,
        "count": 820,
        "better": "higher",
        "chance": 0.5,
        "published": [{"value": 0.81, "whose": "Somebody, CVPR 2018", "note": "other people"}],
    },
    "lpips": {"value": 0.46, "low": None, "high": None, "count": 410, "better": "lower", "chance": None},
    "something.new": {"value": 3.5, "low": -1.0, "high": 9.0, "count": 3, "better": "lower", "published": []},
}


def ledger_of(place: Place, role: Role = Role.OPERATOR) -> Ledger:
    place.user("ada", role)
    return Ledger(place.database, place.users)


def finished(ledger: Ledger, place: Place) -> tuple[Program, str]:
    """A training with everything that it can leave, and the id of its evaluation."""
    program = ledger.training(name="train voices")
    program.curve({"train/total": [(1, 0.1, 0.9), (2, 0.2, 0.5)]})
    program.tells(800, 800, epoch=20, epochs=20, resumed_at_step=320)
    program.says("Done.")
    for name, kind, media_type in (
        ("history.csv", "history", "text/csv"),
        ("events/one.tfevents", "events", ""),
        ("model/encoder/config.json", "model", "application/json"),
        ("checkpoints/best.safetensors", "best", ""),
        ("checkpoints/00000800.safetensors", "checkpoint", ""),
        ("report/report.html", "report", "text/html"),
        ("report/faces.png", "chart", "image/png"),
    ):
        program.leaves(name, kind, b"x", media_type, step=800, store=place.store)
    report = {
        "model": "voices@1",
        "people": 104,
        "left_out": {"frechet": "The features are not here."},
        "notes": ["So few pictures say little."],
        "charts": [{"name": "faces.png", "title": "Some of the people", "caption": "Beside what was drawn."}],
        "tables": [
            {"title": "How genders are read", "columns": ["", "man"], "rows": [["man", 12]], "caption": ""}
        ],
    }
    program.leaves(
        "report/report.json", "report", json.dumps(report).encode(), "application/json", store=place.store
    )
    gate = {"passed": False, "sentence": "voices@1 is worse than default@1: it stays a candidate."}
    told = {"version": "voices@1", "versions": ["voices@1"], "promoted": False, "gate": gate}
    program.leaves("result.json", "result", json.dumps(told).encode(), "application/json", store=place.store)
    model, dataset = ledger.model("voices"), ledger.dataset("people")
    with place.database.write() as session:
        row = session.get(ModelVersion, model.id)
        assert row is not None
        row.job_id = program.job_id
    evaluation = ledger.evaluation(program, model, dataset, METRICS)
    program.ends()
    return program, evaluation


def test_empty_lists_say_what_to_do_next_to_those_who_may(sqlite_place: Place) -> None:
    operator = sqlite_place.browser("ada", Role.OPERATOR)
    watcher, submitter = sqlite_place.browser("eve", Role.VIEWER), sqlite_place.browser("bob")
    for path, words, link in (
        ("/trainings", "Nothing was trained yet", "/trainings/new"),
        ("/evaluations", "Nothing was measured yet", "/evaluations/new"),
        ("/analyses", "Nothing was analysed yet", "/analyses/new"),
    ):
        assert words in operator.get(path).text
        assert f'href="{link}"' in operator.get(path).text
        assert operator.get(link).status_code == 200
        for other in (watcher, submitter):
            assert words in other.get(path).text
            assert f'href="{link}"' not in other.get(path).text
            assert other.get(link).status_code == 403


def test_the_page_of_a_running_training_works_without_scripts(place: Place) -> None:
    ledger = ledger_of(place)
    program = ledger.training(name="train voices")
    browser = place.browser("ada", Role.OPERATOR)
    path = f"/jobs/{program.job_id}"
    assert "The first points come after a few steps." in browser.get(path).text
    program.tells(30, 100, epoch=3, epochs=10, eta_seconds=125.0, resumed_at_step=20, doing="validating")
    program.says("Hello <b>you</b>.")
    page = browser.get(path).text
    for words in (
        "epoch <b>3</b> of 10",
        "step <b>30</b> of 100",
        "about 2 min left",
        "resumed at step 20",
        "validating",
    ):
        assert words in page, words
    assert "Hello &lt;b&gt;you&lt;/b&gt;." in page
    assert 'aria-valuenow="30"' in page
    assert "A checkpoint is left" in page
    assert browser.post(f"{path}/cancel").status_code == 303
    assert "Stopping" in browser.get(path).text
    program.ends(JobState.CANCELLED)
    assert ">Resume<" in browser.get(path).text
    assert browser.post(f"{path}/retry", which="unfinished").status_code == 303
    assert "Waiting" in browser.get(path).text


def test_a_finished_training_shows_its_models_its_gate_and_its_files(place: Place) -> None:
    program, evaluation = finished(ledger_of(place), place)
    page = place.browser("ada", Role.OPERATOR).get(f"/jobs/{program.job_id}").text
    files = f"/api/v1/jobs/{program.job_id}/files"
    for words in (
        "it stays a candidate",
        'href="/models/voices@1"',
        f'href="/evaluations/{evaluation}"',
        f'href="{files}/history.csv"',
        f'href="{files}.zip?kind=events"',
        f'href="{files}.zip?kind=model"',
        f'href="{files}/checkpoints/best.safetensors"',
        "Run again",
        "resumed at step 320",
    ):
        assert words in page, words
    assert "It was promoted" not in page
    assert ">Cancel<" not in page


def test_a_failure_is_told_in_its_sentence(sqlite_place: Place) -> None:
    program = ledger_of(sqlite_place).training()
    program.ends(
        JobState.FAILED, error_code="not_finite", error_message="The loss became infinite at step 7."
    )
    page = sqlite_place.browser("ada", Role.OPERATOR).get(f"/jobs/{program.job_id}").text
    assert "<b>not_finite</b> The loss became infinite at step 7." in page
    assert ">Resume<" in page


def test_an_evaluation_shows_numbers_beside_chance_and_what_others_published(place: Place) -> None:
    program, evaluation = finished(ledger_of(place), place)
    browser = place.browser("ada", Role.OPERATOR)
    page = browser.get(f"/evaluations/{evaluation}").text
    for words in (
        "71.2 %",
        "68.0 % to 74.4 %",
        "chance 50.0 %",
        "1 published by others",
        '>Somebody, CVPR 2018</span><b class="figures">81.0 %</b><span class="muted">other people</span>',
        "The features are not here.",
        "So few pictures say little.",
        "Some of the people",
        "How genders are read",
        f"/api/v1/jobs/{program.job_id}/files/report/report.html",
        f"/api/v1/jobs/{program.job_id}/files/report/faces.png",
    ):
        assert words in page, words
    assert "71.2 %" in browser.get("/evaluations").text
    assert browser.get("/evaluations/eval_nothing").status_code == 404


def test_an_evaluation_is_shown_when_its_pictures_are_gone(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    program = ledger.program(EvaluateSpec(model="default@1", dataset="people@1"))
    evaluation = ledger.evaluation(program, ledger.model(), ledger.dataset(), METRICS)
    program.leaves("report/report.json", "report", b"{}")  # whose object is not in the store
    page = sqlite_place.browser("ada", Role.OPERATOR).get(f"/evaluations/{evaluation}")
    assert page.status_code == 200
    assert "pictures are no longer here" in page.text


def test_an_analysis_shows_its_pictures_in_its_own_page(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    program = ledger.program(AnalyseSpec(model="default@1", dataset="people@1"))
    told = {
        "charts": [{"name": "a.png", "title": "One noise, many voices", "caption": "Each column a voice."}]
    }
    program.leaves("report/report.json", "report", json.dumps(told).encode(), store=sqlite_place.store)
    program.leaves("report/a.png", "chart", b"x", "image/png", store=sqlite_place.store)
    program.ends()
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    page = browser.get(f"/jobs/{program.job_id}").text
    assert "One noise, many voices" in page
    assert f"/api/v1/jobs/{program.job_id}/files/report/a.png" in page
    assert "uplot" not in page
    assert f"/jobs/{program.job_id}" in browser.get("/analyses").text


def test_what_another_submitter_trains_is_nowhere_on_their_pages(place: Place) -> None:
    program, evaluation = finished(ledger_of(place), place)
    bob, eve = place.browser("bob"), place.browser("eve", Role.VIEWER)
    for path in (f"/jobs/{program.job_id}", f"/jobs/{program.job_id}/summary", f"/evaluations/{evaluation}"):
        assert bob.get(path).status_code == 404, path
        assert eve.get(path).status_code == 200, path
    assert bob.post(f"/jobs/{program.job_id}/again").status_code == 404
    assert eve.post(f"/jobs/{program.job_id}/again").status_code == 403
    for path in ("/trainings", "/evaluations"):
        assert "voices" not in bob.get(path).text.split("<main")[1]
        assert "voices" in eve.get(path).text.split("<main")[1]
    assert "Run again" not in eve.get(f"/jobs/{program.job_id}").text


def test_run_again_makes_a_new_job_with_the_same_settings(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    ledger.dataset()
    program = ledger.training(task="matching", machine={"seed": 7})
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    program.ends(JobState.FAILED)
    made = browser.post(f"/jobs/{program.job_id}/again")
    assert made.status_code == 303
    with sqlite_place.database.read() as session:
        job = session.get(Job, made.location.rsplit("/", 1)[1])
        assert job is not None
        assert job.id != program.job_id
        assert (job.state, job.spec["machine"]["seed"]) == (JobState.QUEUED, 7)


def test_the_list_shows_the_loss_the_epoch_and_whose_it_is(sqlite_place: Place) -> None:
    program = ledger_of(sqlite_place).training(name="train voices")
    program.curve({"validation/total": [(n, n / 10, 1 / (n + 1)) for n in range(9)]})
    program.tells(8, 20, epoch=2, epochs=5, eta_seconds=59.6)
    rows = sqlite_place.browser("ada", Role.OPERATOR).get("/trainings/rows").text
    for words in ("train voices", "VE_conv on people@1", "ada", "epoch <b>2</b> of 5", "Loss, now 0.111"):
        assert words in rows, words


def test_every_preset_fills_a_form_with_every_setting_of_its_recipe(sqlite_place: Place) -> None:
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    for name, preset in PRESETS.items():
        form = form_of(preset.recipe, "recipe")
        wanted = {path for path in leaves(preset.recipe.model_dump(), "recipe") if path != "recipe.task"}
        # What is left out as a whole has its settings in the form nevertheless, ready to be filled in.
        assert wanted - set(paths(form)) <= {"recipe.fine_tune"}
        page = browser.get(f"/trainings/new/settings?preset={name}")
        assert page.status_code == 200
        for path in paths(form):
            assert f'data-path="{path}"' in page.text, path


def paths(group: FormGroup) -> list[str]:
    return [one.path for one in group.fields] + [path for inner in group.groups for path in paths(inner)]


def leaves(values: object, where: str) -> list[str]:
    if not isinstance(values, dict) or where.endswith("sizes"):
        return [where]
    return [path for key, value in values.items() for path in leaves(value, f"{where}.{key}")]


def test_datasets_that_do_not_fit_say_what_they_lack_and_cannot_be_chosen(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    ledger.dataset("whole")
    ledger.dataset("voices", features=("ve_conv", "waveform"))
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    page = browser.get("/trainings/new?preset=ve_conv").text
    boxes = dict(re.findall(r'name="dataset-version" value="([^"]+)"( disabled)?', page))
    assert boxes == {"whole@1": "", "voices@1": " disabled"}
    assert "lacks embeddings" in page
    assert "lacks pictures" in browser.get("/trainings/new?preset=gan").text


def test_bars_of_metrics_stay_within_their_frame() -> None:
    for _, _, rows in metric_rows(METRICS):
        for row in rows:
            places = [row.at, *(row.interval or ()), *(mark.at for mark in row.published)]
            assert all(0 <= place <= 100 for place in places), row.name
    assert [row.name for _, _, rows in metric_rows(METRICS) for row in rows] == list(METRICS)


def test_uplot_is_sent_to_pages_with_curves_and_to_no_other(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    assert "uplot" in browser.get(f"/jobs/{ledger.training().job_id}").text
    for path in ("/jobs", "/trainings", "/trainings/new", "/evaluations", "/analyses"):
        assert "uplot" not in browser.get(path).text, path


def test_the_second_phase_is_marked_where_it_is_settled_when_it_begins(sqlite_place: Place) -> None:
    ledger = ledger_of(sqlite_place)
    browser = sqlite_place.browser("ada", Role.OPERATOR)
    recipes = [
        {"task": "ast", "loop": {"epochs": 12}, "fine_tune": {"epochs": 3}},
        {"task": "ast", "loop": {"epochs": 12, "patience": 2}, "fine_tune": {"epochs": 3}},
        {"task": "ast", "loop": {"epochs": 12}},
    ]
    pages = [browser.get(f"/jobs/{ledger.training(recipe=recipe).job_id}").text for recipe in recipes]
    assert ['data-second-phase="12"' in page for page in pages] == [True, False, False]
