"""Every route of the API has a method of the client, which asks it as described and understands what it answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from core.client import Client
from core.specs import NewItem
from tests.core.client.small_service import small_service
from tests.dashboard.answer_types import FILE, read_description, write_types
from tests.dashboard.sampled_service import SampledService, routes

Call = Callable[[Client], object]
SHA = "0" * 64


def _file() -> io.BytesIO:
    return io.BytesIO(b"voice")


def _job(client: Client) -> object:
    items = [NewItem(key="a", name="a.wav", recording=SHA)]
    return client.create_job(
        items,
        idempotency_key="once",
        model="default",
        name="voices",
        labels={"for": "fun"},
        webhook_url="https://example.org/told",
    )


_TRAINING = {
    "model": "voices",
    "dataset": "people@1",
    "recipe": {"task": "ve_conv", "face_encoder": "vgg", "face_decoder": "faces"},
}
_SCHEDULE = {
    "name": "nightly",
    "cron": "0 3 * * *",
    "template": {
        "source": {"collection": "people"},
        "dataset": "people",
        "training": {"model": "voices", "recipe": _TRAINING["recipe"]},
    },
}

CALLS: dict[str, Call] = {
    "PUT /api/v1/recordings": lambda c: c.send_recording(_file()),
    "GET /api/v1/recordings/{sha256}": lambda c: c.recording(SHA),
    "POST /api/v1/recordings/check": lambda c: c.known_recordings([SHA]),
    "POST /api/v1/manifests/check": lambda c: c.check_manifest(_file(), "a.csv"),
    "GET /api/v1/estimate": lambda c: c.estimate(200, model="default", priority=1),
    "POST /api/v1/uploads/{upload_id}/links": lambda c: c.part_links("up_1", [1, 2]),
    "POST /api/v1/uploads/{upload_id}/unpack": lambda c: c.unpack_upload("up_1"),
    "PUT /api/v1/jobs/{job_id}/marks": lambda c: c.mark_many("job_1", [1, 2], favourite=True),
    "GET /api/v1/jobs/{job_id}/items/ids": lambda c: c.item_ids("job_1", state="done", noted=True),
    "POST /api/v1/jobs/{job_id}/contact-sheet.pdf": lambda c: list(
        c.stream_contact_sheets_of("job_1", [1, 2])
    ),
    "POST /api/v1/sources/s3/check": lambda c: c.look_in_s3("s3://bucket/voices"),
    "POST /api/v1/sources/s3": lambda c: c.take_from_s3("s3://bucket/voices", after="voices/a"),
    "POST /api/v1/archives": lambda c: c.send_archive(_file()),
    "POST /api/v1/uploads": lambda c: c.begin_upload("a.wav", 5, "mine"),
    "GET /api/v1/uploads/{upload_id}": lambda c: c.upload("up_1"),
    "PUT /api/v1/uploads/{upload_id}/parts/{number}": lambda c: c.send_part("up_1", 1, _file()),
    "POST /api/v1/uploads/{upload_id}/complete": lambda c: c.complete_upload("up_1"),
    "DELETE /api/v1/uploads/{upload_id}": lambda c: c.abandon_upload("up_1"),
    "GET /api/v1/jobs": lambda c: list(
        c.jobs(
            limit=3,
            state="running,queued",
            kind="infer",
            search="a",
            owner="ada",
            model="default@1",
            label="for=fun",
            since="2026-01-02",
            sort="oldest",
        )
    ),
    "POST /api/v1/jobs": _job,
    "GET /api/v1/jobs/{job_id}": lambda c: c.job("job_1"),
    "POST /api/v1/jobs/{job_id}/cancel": lambda c: c.cancel("job_1"),
    "POST /api/v1/jobs/{job_id}/pause": lambda c: c.pause("job_1"),
    "POST /api/v1/jobs/{job_id}/resume": lambda c: c.resume("job_1"),
    "POST /api/v1/jobs/{job_id}/retry": lambda c: c.retry("job_1", items=[1, 2], error_code="no_speech"),
    "POST /api/v1/jobs/{job_id}/rerun": lambda c: c.rerun("job_1", which="all", dry_run=True),
    "POST /api/v1/jobs/{job_id}/priority": lambda c: c.set_priority("job_1", -5),
    "GET /api/v1/jobs/{job_id}/timeline": lambda c: c.timeline("job_1"),
    "POST /api/v1/jobs/steer": lambda c: c.steer(["job_1", "job_2"], "label", label="team=radio"),
    "GET /api/v1/jobs/{job_id}/throughput": lambda c: c.throughput("job_1"),
    "GET /api/v1/jobs/{job_id}/webhook": lambda c: c.webhook("job_1"),
    "GET /api/v1/jobs/{job_id}/items": lambda c: list(
        c.items("job_1", state="failed", error_code="no_speech", favourites=True)
    ),
    "GET /api/v1/jobs/{job_id}/comparison": lambda c: c.partners("job_1"),
    "GET /api/v1/jobs/{job_id}/comparison/{other_id}": lambda c: list(
        c.comparison("job_1", "job_2", shown="faces")
    ),
    "GET /api/v1/jobs/{job_id}/items/anchors": lambda c: c.anchors("job_1", state="done", favourites=True),
    "GET /api/v1/jobs/{job_id}/items/{item_id}": lambda c: c.item("job_1", 7),
    "PUT /api/v1/jobs/{job_id}/items/{item_id}/mark": lambda c: c.mark("job_1", 7, favourite=True, note="!"),
    "POST /api/v1/jobs/{job_id}/items/{item_id}/link": lambda c: c.face_link("job_1", 7),
    "GET /api/v1/jobs/{job_id}/items/{item_id}/face.png": lambda c: c.face("job_1", 7),
    "GET /api/v1/jobs/{job_id}/items/{item_id}/thumbnail.webp": lambda c: c.thumbnail("job_1", 7),
    "GET /api/v1/jobs/{job_id}/items/{item_id}/landmarks": lambda c: c.landmarks("job_1", 7),
    "GET /api/v1/jobs/{job_id}/items/{item_id}/spectrogram.png": lambda c: c.spectrogram("job_1", 7),
    "GET /api/v1/jobs/{job_id}/items/{item_id}/recording": lambda c: list(c.stream_recording("job_1", 7)),
    "GET /api/v1/jobs/{job_id}/results.csv": lambda c: list(c.stream_results("job_1")),
    "GET /api/v1/jobs/{job_id}/results.jsonl": lambda c: list(c.stream_jsonl("job_1")),
    "GET /api/v1/jobs/{job_id}/results.parquet": lambda c: list(c.stream_parquet("job_1")),
    "GET /api/v1/jobs/{job_id}/errors.jsonl": lambda c: list(c.stream_errors("job_1")),
    "GET /api/v1/jobs/{job_id}/faces.zip": lambda c: list(
        c.stream_zip("job_1", state="done", favourites=True)
    ),
    "POST /api/v1/jobs/{job_id}/faces.zip": lambda c: list(c.stream_zip_of("job_1", [1, 2])),
    "GET /api/v1/jobs/{job_id}/contact-sheet.png": lambda c: c.contact_sheet("job_1", page=2, state="done"),
    "GET /api/v1/jobs/{job_id}/contact-sheet.pdf": lambda c: list(c.stream_contact_sheets("job_1", page=2)),
    "GET /api/v1/jobs/{job_id}/events": lambda c: list(c.follow_job("job_1", since=3)),
    "GET /api/v1/events": lambda c: list(c.follow_everything(since=3)),
    "POST /api/v1/trainings": lambda c: c.train(_TRAINING, idempotency_key="once"),
    "POST /api/v1/evaluations": lambda c: c.evaluate(
        {"model": "voices@1", "dataset": "people@1"}, idempotency_key="once"
    ),
    "POST /api/v1/analyses": lambda c: c.analyse(
        {"model": "voices@1", "dataset": "people@1"}, idempotency_key="once"
    ),
    "GET /api/v1/trainings/presets": lambda c: c.training_presets(),
    "POST /api/v1/trainings/check": lambda c: c.check_training(_TRAINING),
    "POST /api/v1/jobs/{job_id}/again": lambda c: c.again("job_1", idempotency_key="once"),
    "GET /api/v1/jobs/{job_id}/training": lambda c: c.training("job_1"),
    "GET /api/v1/jobs/{job_id}/curves": lambda c: c.curves("job_1", after=5, points=100),
    "GET /api/v1/jobs/{job_id}/log": lambda c: c.log("job_1", after=5, limit=100),
    "GET /api/v1/jobs/{job_id}/files": lambda c: c.job_files("job_1", kind="model"),
    "GET /api/v1/jobs/{job_id}/files/{name}": lambda c: list(c.stream_job_file("job_1", "samples/1 a.png")),
    "GET /api/v1/jobs/{job_id}/files.zip": lambda c: list(c.stream_job_files("job_1", kind="model")),
    "GET /api/v1/models": lambda c: c.models(),
    "POST /api/v1/models": lambda c: c.register_model("mine", {"config.json": SHA}),
    "PUT /api/v1/models/files": lambda c: c.send_model_file(_file()),
    "POST /api/v1/models/pairs": lambda c: c.pair_models("mine", encoder="a@1", decoder="b"),
    "GET /api/v1/models/{label}": lambda c: c.model("mine@1"),
    "DELETE /api/v1/models/{label}": lambda c: c.delete_model("mine@1", reason="old", dry_run=True),
    "GET /api/v1/models/{label}/files/{name}": lambda c: list(
        c.stream_model_file("mine@1", "encoder/config.json")
    ),
    "GET /api/v1/models/{label}/lineage": lambda c: c.lineage("mine@1"),
    "GET /api/v1/models/{label}/evaluations": lambda c: c.model_evaluations("mine@1"),
    "GET /api/v1/models/{label}/comparison/{other}": lambda c: c.compare_models("mine@1", "mine@2"),
    "GET /api/v1/models/{label}/export": lambda c: list(c.stream_model("mine@1")),
    "POST /api/v1/models/{label}/promote": lambda c: c.promote("mine@1", reason="better", force=True),
    "GET /api/v1/aliases": lambda c: c.aliases(),
    "POST /api/v1/aliases/{alias}/rollback": lambda c: c.roll_back(reason="worse"),
    "GET /api/v1/aliases/{alias}/moves": lambda c: list(c.moves(limit=5)),
    "GET /api/v1/audit": lambda c: list(c.audit(limit=5, subject="job_1")),
    "GET /api/v1/datasets": lambda c: list(c.datasets(limit=5)),
    "POST /api/v1/datasets": lambda c: c.prepare_dataset(
        {"name": "people", "files": [{"path": "Ann/1.wav", "recording": SHA}]}, idempotency_key="once"
    ),
    "GET /api/v1/datasets/{label}": lambda c: c.dataset("people@1"),
    "GET /api/v1/datasets/{label}/files/{name}": lambda c: list(
        c.stream_dataset_file("people@1", "shards/00000.tar")
    ),
    "GET /api/v1/collections": lambda c: c.collections(),
    "GET /api/v1/collections/{name}": lambda c: c.collection("people"),
    "PUT /api/v1/collections/{name}": lambda c: c.make_collection("people"),
    "POST /api/v1/collections/{name}/files": lambda c: c.add_to_collection("people", [("Ann/1.wav", SHA)]),
    "GET /api/v1/schedules": lambda c: c.schedules(zone="Europe/Vienna"),
    "POST /api/v1/schedules": lambda c: c.create_schedule(_SCHEDULE),
    "POST /api/v1/schedules/preview": lambda c: c.preview_schedule("0 3 * * *", zone="Europe/Vienna"),
    "GET /api/v1/schedules/{name}": lambda c: c.schedule("nightly", zone="Europe/Vienna", limit=5),
    "PATCH /api/v1/schedules/{name}": lambda c: c.edit_schedule("nightly", {"cron": "0 4 * * *"}),
    "DELETE /api/v1/schedules/{name}": lambda c: c.remove_schedule("nightly"),
    "POST /api/v1/schedules/{name}/pause": lambda c: c.pause_schedule("nightly"),
    "POST /api/v1/schedules/{name}/resume": lambda c: c.resume_schedule("nightly"),
    "POST /api/v1/schedules/{name}/run": lambda c: c.run_schedule("nightly", anyway=True),
    "POST /api/v1/schedules/{name}/secret": lambda c: c.change_schedule_secret("nightly"),
    "GET /api/v1/schedules/{name}/runs/{run_id}": lambda c: c.schedule_run("nightly", "run_1"),
    "POST /api/v1/schedules/{name}/runs/{run_id}/cancel": lambda c: c.cancel_run("nightly", "run_1"),
    "GET /api/v1/me": lambda c: c.me(),
    "GET /api/v1/tokens": lambda c: c.tokens(),
    "POST /api/v1/tokens": lambda c: c.make_token("laptop", scope="submit", days=30),
    "DELETE /api/v1/tokens/{token_id}": lambda c: c.revoke_token("tok_1"),
    "PUT /api/v1/account/password": lambda c: c.change_password("old and long enough", "new and long enough"),
    "POST /api/v1/account/sessions/end": lambda c: c.end_sessions(),
    "GET /api/v1/users": lambda c: list(c.users(limit=5)),
    "POST /api/v1/users": lambda c: c.create_user("bob", "viewer"),
    "GET /api/v1/users/{user_id}": lambda c: c.user("usr_1"),
    "PATCH /api/v1/users/{user_id}": lambda c: c.change_user("usr_1", role="operator", disabled=False),
    "GET /api/v1/me/quota": lambda c: c.quota(),
    "GET /api/v1/users/{user_id}/quota": lambda c: c.quota("usr_1"),
    "PUT /api/v1/users/{user_id}/quota": lambda c: c.set_quota(
        "usr_1", {"items_a_day": 5, "jobs_at_once": None}
    ),
    "POST /api/v1/users/{user_id}/link": lambda c: c.sign_in_link("usr_1"),
    "GET /api/v1/workers": lambda c: c.workers(),
    "POST /api/v1/workers/{worker_id}/drain": lambda c: c.drain("wrk_1"),
    "POST /api/v1/workers/{worker_id}/undrain": lambda c: c.undrain("wrk_1"),
    "GET /api/v1/queues": lambda c: c.queues(),
    "GET /api/v1/storage": lambda c: c.storage(),
    "GET /api/v1/health": lambda c: c.health(),
    "GET /api/v1/retention": lambda c: c.retention(),
    "PUT /api/v1/retention/{kind}": lambda c: c.keep("faces", 30, scope="for=fun"),
    "DELETE /api/v1/retention/{kind}": lambda c: c.remove_rule("faces", scope="for=fun"),
    "GET /api/v1/retention/preview": lambda c: c.preview_purge(),
    "POST /api/v1/retention/purge": lambda c: c.purge(),
    "POST /api/v1/erasure": lambda c: c.erase("ada", dry_run=False, confirm="ada"),
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return read_description()


def test_every_route_has_a_call(description: dict[str, Any]) -> None:
    assert set(CALLS) == set(routes(description))


def test_types_of_answers_are_those_of_the_description(description: dict[str, Any]) -> None:
    assert FILE.read_text("utf-8") == write_types(description), (
        "Schemas changed. Run: python -m tests.dashboard.answer_types"
    )


def test_every_call_asks_as_described_and_understands_the_answer(description: dict[str, Any]) -> None:
    sampled = SampledService(description)
    with small_service(sampled) as service:
        client = Client(service.url, "vs_secret")
        for label, call in CALLS.items():
            if label in sampled.routes:
                sampled.answered.clear()
                call(client)
                assert label in sampled.answered
    assert not sampled.faults
