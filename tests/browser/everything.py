"""A place in which every page has something to show, and the paths of all those pages."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

from PIL import Image, ImageDraw
from sqlalchemy import select

from core.claims.workers import end_worker, tell_utilisation
from core.config import BUNDLED_WEIGHTS
from core.ledger.tables import Job, ModelVersion, User, Worker
from core.models.registry import register_model, resolve_model
from core.people.accounts import Role
from core.people.quotas import give_quotas
from core.states import JobState
from core.store import Store
from core.ticker import Scheduling
from core.training.specs import AnalyseSpec
from tests.conftest import REPOSITORY
from tests.core.models.registry_place import Registry, metric
from tests.dashboard.conftest import Place, Script
from tests.dashboard.people import people_files, send_files, work
from tests.dashboard.test_schedules import add
from tests.factories import Ledger
from tests.fakes import face_picture
from tests.programs import Program

# Of the pages below, those that are refused or missing on purpose.
REFUSED = {"nothing-here": 404}
_SAMPLES = sorted(
    path for path in (REPOSITORY / "samples").iterdir() if path.suffix in (".flac", ".ogg", ".mp3")
)
_PUBLISHED = [{"value": 0.81, "whose": "Somebody, 2018", "note": "other people, other pictures"}]
_SMALL = {"voice": {"features": ["waveform"], "waveform_seconds": 0.5}, "face": {"size": 32}}


def furnish(place: Place, folder: Path, *, real_faces: bool = False) -> dict[str, str]:
    """Fills a place; answers the path of each page by a short name.

    Args:
        folder: for files that are needed on the way.
        real_faces: draw with the model that ships, which takes seconds, instead of discs.
    """
    place.user("ada", Role.ADMIN)
    for name, role in (("Grace", Role.OPERATOR), ("Linus", Role.SUBMITTER), ("Vera", Role.VIEWER)):
        place.user(name, role)
    with place.database.write() as session:
        limits = {"items_a_day": 5000, "stored_bytes": 50 * 10**9}
        give_quotas(session, session.get_one(User, place.users["ada"].id), limits)
    ada, ledger = place.script("ada", Role.ADMIN), Ledger(place.database, place.users)
    paths = {"dataset": _prepare(place, ada, folder)}
    if real_faces:
        with_weights = register_model(place.database, place.store, BUNDLED_WEIGHTS, name="default")
        _promote(ada, with_weights.label, "the model that ships")
    paths |= _train(place, ledger)
    paths |= _models(place, ada, ledger, folder)
    paths |= _draw(place, ada, folder, real_faces)
    paths |= _schedule(place, ada)
    # Workers first: what is made up here is not heard of any more after two minutes.
    return (
        {"workers": "/workers", "queues": "/queues", "health": "/health"}
        | paths
        | {
            "jobs": "/jobs",
            "new-job": "/new",
            "datasets": "/datasets",
            "new-dataset": "/datasets/new",
            "trainings": "/trainings",
            "new-training": "/trainings/new",
            "evaluations": "/evaluations",
            "new-evaluation": "/evaluations/new",
            "analyses": "/analyses",
            "new-analysis": "/analyses/new",
            "models": "/models",
            "schedules": "/schedules",
            "new-schedule": "/schedules/new",
            "account": "/account",
            "people": "/people",
            "limits": f"/people/{place.users['ada'].id}/limits",
            "audit": "/audit",
            "storage": "/storage",
            "retention": "/retention",
            "erasure": "/erasure",
            "nothing-here": "/jobs/job_that_never_was",
        }
    )


def _prepare(place: Place, ada: Script, folder: Path) -> str:
    """A dataset with something left out, made by the real worker."""
    files = [*send_files(ada, people_files()), {"path": "notes.txt"}]
    split = {"train": 0.6, "validation": 0.2, "test": 0.2, "by": ["gender"]}
    wish = {"name": "choir", "recipe": {**_SMALL, "split": split}, "files": files}
    assert ada.post("/api/v1/datasets", json=wish).status_code == 201
    work(place, folder / "cache")
    return "/datasets/choir@1"


def _draw(place: Place, ada: Script, folder: Path, real_faces: bool) -> dict[str, str]:
    """One job that is done, one with errors, one under way and one that waits."""
    items = [
        {"key": path.name, "name": path.name, "recording": ada.send(path.read_bytes())} for path in _SAMPLES
    ]
    labels = {"site": "north hall", "set": "samples"}
    done = str(ada.submit(items, name="Voices of the north hall", labels=labels).json["id"])
    if real_faces:
        work(place, folder / "cache")
    _send_workers_home(place)
    worker = place.worker()
    worker.run()
    empty = {"key": "empty.wav", "name": "empty.wav", "recording": ada.send(b"")}
    failed = str(ada.submit([empty, *items[:5]], name="A folder with an empty file").json["id"])
    worker.run()
    running = str(ada.submit(items, name="Morning shift").json["id"])
    chunk = worker.claim(4)
    assert chunk is not None
    worker.finish(chunk)
    assert worker.claim(3) is not None  # and these are at the device for as long as anybody looks
    waiting = place.script("Linus").job(3, name="For the lecture")
    with place.database.write() as session:
        used = {
            "device_name": "NVIDIA L4",
            "cpu_percent": 38.0,
            "memory_bytes": 3_400_000_000,
            "gpu_percent": 71,
        }
        memory = {
            "gpu_memory_bytes": 9_100_000_000,
            "gpu_memory_total_bytes": 24_000_000_000,
            "gpu_celsius": 61,
        }
        tell_utilisation(session, worker.id, {**used, **memory})
    first = ada.get(f"/api/v1/jobs/{done}/items?limit=1").json["data"][0]["id"]
    return {
        "job": f"/jobs/{done}",
        "face": f"/jobs/{done}#item={first}",
        "job-with-errors": f"/jobs/{failed}",
        "choose-comparison": f"/jobs/{failed}/compare",
        "comparison": f"/jobs/{done}/compare/{failed}",
        "job-under-way": f"/jobs/{running}",
        "job-that-waits": f"/jobs/{waiting}",
        "preparation": f"/jobs/{_job_of(ada, 'prepare')}",
    }


def _send_workers_home(place: Place) -> None:
    """Those that were made up for a claim each."""
    with place.database.write() as session:
        for worker in session.scalars(select(Worker)):
            end_worker(session, worker.id)


def _train(place: Place, ledger: Ledger) -> dict[str, str]:
    """A training under way, one that is done, one that failed; an evaluation and an analysis with their reports."""
    store = place.store
    ledger.dataset("interviews")
    running = ledger.training(name="train voices", dataset="interviews@1")
    for epoch in range(1, 8):
        _epoch(running, epoch, 20, store)
    failed = ledger.training(name="train too much", dataset="interviews@1")
    failed.says("The loss became infinite at step 7.", level="error")
    failed.ends(JobState.FAILED, error_code="not_finite", error_message="The loss became infinite at step 7.")
    done = ledger.training(name="train matcher", dataset="interviews@1")
    for epoch in range(1, 13):
        _epoch(done, epoch, 12, store)
    for name, kind in (("history.csv", "history"), ("checkpoints/best.safetensors", "best")):
        done.leaves(name, kind, b"x" * 4096, step=120, store=store)
    gate = {"passed": True, "sentence": "voices@1 is no worse than default@1: it takes over."}
    told = {"version": "voices@1", "versions": ["voices@1"], "promoted": True, "gate": gate}
    done.leaves("result.json", "result", json.dumps(told).encode(), "application/json", store=store)
    model, dataset = ledger.model("voices"), ledger.dataset("voices-held-out")
    with place.database.write() as session:
        session.get_one(ModelVersion, model.id).job_id = done.job_id
    _report(done, store)
    numbers = {
        "matching.voice_to_face.2": {**metric(0.712, 0.68, 0.744), "published": _PUBLISHED},
        "ssim": metric(0.46),
        "lpips": metric(0.41, 0.38, 0.44, "lower"),
    }
    evaluation = ledger.evaluation(done, model, dataset, numbers)
    done.ends()
    analysis = ledger.program(
        AnalyseSpec(model="default@1", dataset="interviews@1"), name="analyse default@1"
    )
    _report(analysis, store)
    analysis.ends()
    return {
        "training": f"/jobs/{running.job_id}",
        "training-done": f"/jobs/{done.job_id}",
        "training-that-failed": f"/jobs/{failed.job_id}",
        "evaluation": f"/evaluations/{evaluation}",
        "analysis": f"/jobs/{analysis.job_id}",
    }


def _models(place: Place, ada: Script, ledger: Ledger, folder: Path) -> dict[str, str]:
    """Two versions that were measured on the same people; one took over and was taken back."""
    registry = Registry(ledger, place.store, folder)
    dataset = registry.dataset("held-out")
    better = registry.trained("drawer", b"better", dataset_version_id=dataset.id)
    for version, value in ((better, 0.81), (_production(place), 0.6)):
        found = {
            "matching.voice_to_face.2": metric(value, value - 0.03, value + 0.03),
            "auc": metric(value + 0.1),
        }
        registry.evaluation(version, dataset, found)
    # Those jobs were entered and are over; here they look like it.
    with place.database.write() as session:
        for job in session.scalars(select(Job).where(Job.name == "a job")):
            job.name, job.state, job.total, job.done = f"{job.kind} on held-out", JobState.COMPLETED, 1, 1
            job.started_at = job.finished_at = job.created_at
    _promote(ada, "drawer@1", "twenty points better")
    body = {"version": "drawer@1", "reason": "its card was not read yet"}
    assert ada.post("/api/v1/aliases/production/rollback", json=body).status_code == 200
    return {
        "model": "/models/drawer@1",
        "compare-models": f"/models/compare?a=drawer@1&b={_production(place).label}",
        "delete-model": "/models/drawer@1/delete",
    }


def _schedule(place: Place, ada: Script) -> dict[str, str]:
    for path in range(3):
        add(
            ada, {f"p{path}/voice.wav": ada.send(b"v%d" % path), f"p{path}/face.png": ada.send(b"f%d" % path)}
        )
    wish = {
        "name": "weekly",
        "cron": "0 3 * * 1",
        "time_zone": "Europe/Berlin",
        "template": {
            "source": {"collection": "people"},
            "training": {"preset": "matching-small", "model": "matcher"},
        },
    }
    answer = ada.post("/api/v1/schedules", json=wish)
    assert answer.status_code == 201, answer.text
    assert ada.post("/api/v1/schedules/weekly/run", json={}).status_code == 201
    Scheduling(place.database, place.store, place.settings).round()
    return {"schedule": "/schedules/weekly", "edit-schedule": "/schedules/weekly/edit"}


def _epoch(program: Program, epoch: int, epochs: int, store: Store) -> None:
    """What a program tells in an epoch of ten steps."""
    steps = range(10 * epoch - 9, 10 * epoch + 1)
    program.curve(
        {
            "train/total": [(n, n / 10, 1.4 * math.exp(-n / 40) + 0.08 * math.sin(n) ** 2) for n in steps],
            "train/identity": [(n, n / 10, 0.9 * math.exp(-n / 30)) for n in steps],
            "learning_rate": [(n, n / 10, 0.001 * math.cos(n / 160)) for n in steps],
            "validation/total": [(10 * epoch, float(epoch), 1.3 * math.exp(-epoch / 4) + 0.15)],
        }
    )
    program.leaves(
        f"samples/epoch-{epoch:05}.png", "sample", _faces(epoch), "image/png", step=10 * epoch, store=store
    )
    program.says(f"Epoch {epoch} is done: validation/total {1.3 * math.exp(-epoch / 4) + 0.15:.3f}.")
    program.tells(
        10 * epoch,
        10 * epochs,
        epoch=epoch,
        epochs=epochs,
        eta_seconds=60.0 * (epochs - epoch),
        doing="training",
    )


def _report(program: Program, store: Store) -> None:
    """The report of an evaluation or analysis: a picture, a table, and what was left out."""
    report = {
        "model": "voices@1",
        "people": 104,
        "left_out": {"frechet": "There are too few pictures for it."},
        "notes": ["So few pictures say little."],
        "charts": [{"name": "faces.png", "title": "Some of the people", "caption": "Beside what was drawn."}],
        "tables": [
            {
                "title": "How ages are read",
                "columns": ["", "under 30", "30 to 50", "over 50"],
                "rows": [["under 30", 12, 3, 0], ["30 to 50", 2, 31, 4], ["over 50", 0, 5, 9]],
                "caption": "Rows are the true faces, columns the drawn ones.",
            }
        ],
    }
    program.leaves(
        "report/report.json", "report", json.dumps(report).encode(), "application/json", store=store
    )
    program.leaves("report/report.html", "report", b"<p>report", "text/html", store=store)
    program.leaves("report/faces.png", "chart", _faces(9), "image/png", store=store)


def _faces(seed: int) -> bytes:
    """Eight discs with eyes in two rows, as samples are laid out."""
    sheet = Image.new("RGB", (480, 240), (244, 242, 238))
    for number in range(8):
        face = Image.open(io.BytesIO(face_picture(f"{number % 4}{seed if number > 3 else ''}"))).resize(
            (112, 112)
        )
        sheet.paste(face, (4 + 120 * (number % 4), 4 + 120 * (number // 4)))
    ImageDraw.Draw(sheet).line((0, 119, 480, 119), fill=(180, 176, 168))
    held = io.BytesIO()
    sheet.save(held, "PNG")
    return held.getvalue()


def _promote(ada: Script, label: str, reason: str) -> None:
    answer = ada.post(f"/api/v1/models/{label}/promote", json={"reason": reason})
    assert answer.status_code == 200, answer.text


def _production(place: Place) -> ModelVersion:
    with place.database.read() as session:
        return resolve_model(session, "production")


def _job_of(ada: Script, kind: str) -> str:
    """The first of its kind, which was really carried out: later ones only stand in the ledger."""
    (job,) = ada.get(f"/api/v1/jobs?kind={kind}&sort=oldest&limit=1").json["data"]
    return str(job["id"])
