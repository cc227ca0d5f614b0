"""`/readyz` on real parts: what it says, what may be left out, and that a part that hangs costs little."""

from __future__ import annotations

import json
import threading
import time

import pytest
import structlog
from sqlalchemy import text

from core.alive import what_is_wrong
from core.ledger.schema_fit import known_revisions
from core.store import Store
from core.watching.logs import set_up_logs
from core.watching.presence import me, note
from core.watching.readiness import Readiness, readiness_of
from tests.dashboard.conftest import Place

PARTS = ("ledger", "migrations", "store", "broker", "ticker")


def ask(place: Place, query: str = "") -> tuple[int, dict[str, str]]:
    """A question to a dashboard that remembers no answer."""
    fresh = readiness_of(place.settings, place.database, Store(place.settings))
    place.app.extensions["readiness"] = fresh
    answer = place.app.test_client().get(f"/readyz{query}")
    return answer.status_code, answer.json["parts"]


def test_a_place_is_ready_once_a_ticker_goes_through_its_rounds(place: Place) -> None:
    assert ask(place) == (503, {**dict.fromkeys(PARTS, "ok"), "ticker": "failed"})
    note(place.settings, me("ticker", place.settings))
    assert ask(place) == (200, dict.fromkeys(PARTS, "ok"))


def test_tables_of_an_older_version_are_not_ready_and_those_of_a_newer_one_are(place: Place) -> None:
    for revision, said in ((known_revisions()[-2], "failed"), ("9999", "ok")):
        with place.database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        assert ask(place)[1]["migrations"] == said, revision


def test_parts_that_are_away_are_named_and_can_be_left_out(sqlite_place: Place) -> None:
    secret = type(sqlite_place.settings.broker_url)
    sqlite_place.settings = sqlite_place.settings.model_copy(
        update={"broker_url": secret("redis://:hidden@127.0.0.1:1"), "s3_bucket": "there-is-no-such-bucket"}
    )
    status, said = ask(sqlite_place)
    assert (status, said) == (503, dict(zip(PARTS, ("ok", "ok", "failed", "failed", "failed"), strict=True)))
    assert ask(sqlite_place, "?exclude=store&exclude=broker&exclude=ticker")[0] == 200
    answer = sqlite_place.app.test_client().get("/readyz?exclude=borker")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request"), (
        "a slip must not pass for ready"
    )


def test_a_part_that_hangs_is_asked_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.watching.readiness._PATIENCE_SECONDS", 0.05)
    free, asked = threading.Event(), []

    def hang() -> None:
        asked.append(time.monotonic())
        free.wait(60)

    readiness = Readiness({"slow": hang, "quick": lambda: None})
    assert [readiness.look() for _ in range(5)] == [{"slow": "no answer", "quick": "ok"}] * 5
    assert len(asked) == 1
    free.set()
    until = time.monotonic() + 30
    while readiness.look() != {"slow": "ok", "quick": "ok"}:
        assert time.monotonic() < until


def test_the_health_check_of_a_container_asks_for_what_the_dashboard_itself_needs(
    sqlite_place: Place,
) -> None:
    from werkzeug.serving import make_server

    from tests.dashboard.test_datasets import _Quiet

    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        assert what_is_wrong("dashboard", sqlite_place.settings, server.server_port) is None
        with sqlite_place.database.write() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        until = time.monotonic() + 30  # the last answer holds for a while
        while (wrong := what_is_wrong("dashboard", sqlite_place.settings, server.server_port)) is None:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert "503" in wrong
    finally:
        server.shutdown()
        server.server_close()


def test_lines_that_a_request_logs_name_its_job_and_no_earlier_one(
    sqlite_place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = sqlite_place.script("ada")
    job = ada.job(1)
    set_up_logs(form="json", part="dashboard")
    try:
        monkeypatch.setattr("dashboard.api.jobs.job_view", None)  # a fault of ours
        assert ada.get(f"/api/v1/jobs/{job}").status_code == 500
        assert ada.get("/api/v1/jobs").status_code in (200, 500)
        monkeypatch.setattr("core.store.Store.refusal", lambda store: "AccessDenied")
        assert ask(sqlite_place)[0] == 503
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [crashed] = [line for line in lines if line["event"] == "request crashed" and line["path"].endswith(job)]
    assert crashed["job"] == job and "Traceback" in crashed["exception"]
    others = [line for line in lines if line is not crashed]
    assert others and all("job" not in line for line in others)
