"""What is stored, and whether every part answers: on real servers, and with one of them away."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from werkzeug.serving import make_server

from core.cli.doctor import app as doctor
from core.client import asking
from core.client.patience import PATIENCE
from core.config import to_environment
from core.keeping.storage_use import storage_use
from core.ledger.database import now
from core.ledger.retention_tables import StorageSum
from core.ledger.tables import Job
from core.people.accounts import Role
from core.stack import inspection
from core.ticker import count_storage
from core.watching.health import check_health
from tests.dashboard.conftest import SOUND, Place
from tests.dashboard.test_datasets import _Quiet, run


def test_storage_adds_up_what_was_sent(place: Place) -> None:
    ada = place.script("ada")
    ada.send(SOUND)
    ada.send(SOUND + b"another")
    assert ada.get("/api/v1/storage").status_code == 403
    shown = place.script("olga", Role.OPERATOR).get("/api/v1/storage").json
    kinds = {one["kind"]: (one["count"], one["bytes"]) for one in shown["data"]}
    assert kinds["recordings"] == (2, 2 * len(SOUND) + 7)
    assert kinds["faces"] == kinds["job files"] == (0, 0)
    ada.send(SOUND + b"a third")
    assert storage_use(place.database).kinds[0].count == 2  # known for a while
    assert storage_use(place.database, fresh=True).kinds[0].count == 3


def test_health_finds_what_answers_and_what_does_not(place: Place) -> None:
    olga = place.script("olga", Role.OPERATOR)
    shown = olga.get("/api/v1/health").json
    assert {one["name"]: one["state"] for one in shown["checks"]} == dict.fromkeys(
        ("ledger", "clock", "broker", "object store", "ticker", "workers", "disk"), "ok"
    )
    assert shown["state"] == "ok"
    assert list(place.store.keys("health/")) == []
    away = place.settings.model_copy(
        update={"broker_url": type(place.settings.broker_url)("redis://:secret@127.0.0.1:1")}
    )
    found = check_health(away, place.database, place.store)
    assert found.state == "failed"
    assert [check.name for check in found.checks if check.state == "failed"] == ["broker"]
    assert [check.name for check in found.checks if check.do] == ["broker"]
    assert "secret" not in repr(found)


def test_only_operators_open_storage_and_health(sqlite_place: Place) -> None:
    olga, ada = sqlite_place.browser("olga", Role.OPERATOR), sqlite_place.browser("ada")
    for path, word in (("/storage", "Recordings"), ("/health", "Object store")):
        assert word in olga.get(path).text
        assert ada.get(path).status_code == 403


def test_sums_that_the_ticker_made_are_read_and_not_made_again(place: Place) -> None:
    place.script("ada").send(SOUND)
    count_storage(place.database)
    count_storage(place.database)
    with place.database.write() as session:
        session.execute(update(StorageSum).where(StorageSum.kind == "recordings").values(count=77))
    assert storage_use(place.database).kinds[0].count == 77
    with place.database.write() as session:  # the ticker has been away for long
        session.execute(update(StorageSum).values(at=now(session) - timedelta(hours=1)))
    assert storage_use(place.database).kinds[0].count == 1


def test_the_doctor_asks_a_service_and_says_what_to_do(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inspection, "_devices", lambda: {"threads": 1, "cuda": []})
    server = make_server("127.0.0.1", 0, place.app, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    token = place.script("olga", Role.OPERATOR).token
    where = ["--url", f"http://127.0.0.1:{server.server_port}", "--token", token, "--data", tmp_path]
    try:
        well = run(doctor, *where, "--json")
        assert (well.exit_code, json.loads(well.stdout)["health"]["state"]) == (0, "ok"), well.output
        place.script("ada").job(2)
        with place.database.write() as session:
            session.execute(update(Job).values(queued_at=now(session) - timedelta(minutes=5)))
        waits = run(doctor, *where)
        assert waits.exit_code == 0
        assert "Look at it: workers: 2 items wait in the queue gpu" in waits.stdout
        assert "Start a worker for that queue" in waits.stdout
    finally:
        server.shutdown()
        server.server_close()
    monkeypatch.setattr(asking, "PATIENCE", PATIENCE.new(backoff_factor=0.001))
    gone = run(doctor, *where)
    assert gone.exit_code == 1
    assert "Problem: " in gone.stdout


def test_the_doctor_asks_the_parts_itself_where_the_environment_names_them(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inspection, "_devices", lambda: {"threads": 1, "cuda": []})
    for name, value in to_environment(sqlite_place.settings).items():  # whose broker is away
        monkeypatch.setenv(name, value)
    found = run(doctor, "--data", tmp_path, "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert [one["state"] for one in told["health"]["checks"] if one["name"] == "broker"] == ["failed"]
    broker = [one for one in told["findings"] if one["part"] == "broker"]
    assert [(one["code"], one["severity"]) for one in broker] == [("broker_unreachable", "problem")]
    [sentence] = [one for one in told["problems"] if one.startswith("broker: ")]
    assert "VOICESKETCH_BROKER_URL" in sentence, "told once, by the finding, and not again by the check"
    assert "secret_key_guessable" in {one["code"] for one in told["findings"]}, "the key of the tests"
    assert sqlite_place.settings.secret_key.get_secret_value() not in found.stdout
