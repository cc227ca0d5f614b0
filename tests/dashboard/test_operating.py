"""Workers and queues, as operators look after them and as others may look at them."""

from __future__ import annotations

import json
import threading

from sqlalchemy import select
from werkzeug.serving import make_server

from core.claims.worker_queries import list_queues
from core.claims.workers import end_worker, register_worker, tell_utilisation
from core.cli.queues import app as queues_command
from core.cli.storage import app as storage_command
from core.cli.workers import app as workers_command
from core.ledger.database import now
from core.ledger.tables import Outbox, Worker
from core.people.accounts import Role
from core.people.audit import list_entries
from core.people.tokens import Scope
from tests.dashboard.conftest import Place
from tests.dashboard.test_datasets import _Quiet, run
from tests.dashboard.test_matrix import scoped


def test_an_operator_drains_a_worker_and_lets_it_claim_again(place: Place) -> None:
    olga, ada = place.script("olga", Role.OPERATOR), place.script("ada")
    job = ada.job(3, name="three voices")
    with place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
        tell_utilisation(session, worker, {"cpu_percent": 42.5, "memory_bytes": 10**9, "device_name": "Core"})
    shown = olga.get("/api/v1/workers").json["data"]
    assert [(one["id"], one["state"]) for one in shown] == [(worker, "idle")]
    assert shown[0]["utilisation"]["cpu_percent"] == 42.5
    assert shown[0]["utilisation"]["gpu_celsius"] is None

    assert ada.post(f"/api/v1/workers/{worker}/drain").status_code == 403
    assert olga.post(f"/api/v1/workers/{worker}/drain").json["state"] == "drained"
    queue = olga.get("/api/v1/queues").json["data"][0]
    assert (queue["name"], queue["items"], queue["jobs"], queue["workers"], queue["draining"]) == (
        "gpu",
        3,
        1,
        0,
        1,
    )
    assert [(one["job"], one["owner"]) for one in queue["waiting"]] == [(job, "ada")]

    with place.database.read() as session:
        bells = len(session.scalars(select(Outbox)).all())
    assert olga.post(f"/api/v1/workers/{worker}/undrain").json["state"] == "idle"
    with place.database.read() as session:
        assert len(session.scalars(select(Outbox)).all()) == bells + 1  # it is woken for what waits
        assert [entry.action for entry in list_entries(session, subject=worker)] == [
            "worker.undrain",
            "worker.drain",
        ]


def test_a_worker_that_is_gone_or_unknown_cannot_be_drained(sqlite_place: Place) -> None:
    olga = sqlite_place.script("olga", Role.OPERATOR)
    with sqlite_place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
        end_worker(session, worker)
    assert olga.post(f"/api/v1/workers/{worker}/drain").status_code == 409
    assert olga.post("/api/v1/workers/worker_nobody/drain").status_code == 404
    assert olga.get("/api/v1/workers").json["data"][0]["state"] == "gone"


def test_viewers_look_and_change_nothing_and_submitters_do_not_look(sqlite_place: Place) -> None:
    viewer, ada = sqlite_place.browser("vic", Role.VIEWER), sqlite_place.browser("ada")
    with sqlite_place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
    for path in ("/workers", "/queues"):
        assert viewer.get(path).status_code == 200
        assert ada.get(path).status_code == 403
    assert ">Drain<" not in viewer.get("/workers").text
    assert viewer.post(f"/workers/{worker}/drain").status_code == 403
    olga = sqlite_place.browser("olga", Role.OPERATOR)
    assert ">Drain<" in olga.get("/workers").text
    assert olga.post(f"/workers/{worker}/drain").status_code == 303
    assert "Let it claim again" in olga.get("/workers/rows").text
    assert "Nobody claims" not in olga.get("/queues/rows").text  # nothing waits


def test_a_token_that_only_submits_does_not_drain_for_its_operator(sqlite_place: Place) -> None:
    with sqlite_place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
    token = scoped(sqlite_place, "over", Role.OPERATOR, Scope.SUBMIT)
    assert token.post(f"/api/v1/workers/{worker}/drain").status_code == 403
    assert token.get("/api/v1/storage").status_code == 403
    assert token.get("/api/v1/workers").status_code == 200
    whole = scoped(sqlite_place, "whole", Role.OPERATOR, Scope.OPERATE)
    assert whole.post(f"/api/v1/workers/{worker}/drain").status_code == 200


def test_a_queue_says_how_long_it_takes_once_a_rate_is_known(sqlite_place: Place) -> None:
    job = sqlite_place.script("ada").job(4)
    with sqlite_place.database.write() as session:
        from core.ledger.tables import Job

        (queue,) = list_queues(session)
        assert queue.seconds_to_empty is None
        assert queue.oldest_wait_seconds is not None
        row = session.get_one(Job, job)
        row.rate_per_second, row.rated_at = 2.0, now(session)
        session.flush()
        (queue,) = list_queues(session)
        assert queue.seconds_to_empty == 2.0


def test_a_worker_that_works_shows_its_chunk(sqlite_place: Place) -> None:
    from core.claims.leases import claim_chunk

    job = sqlite_place.script("ada").job(3, name="three voices")
    with sqlite_place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
        claim_chunk(session, worker, "gpu", size=2, lease_seconds=60)
        session.get_one(Worker, worker).draining_at = now(session)
    olga = sqlite_place.script("olga", Role.OPERATOR)
    (shown,) = olga.get("/api/v1/workers").json["data"]
    assert shown["state"] == "draining"
    assert [(one["job"], one["items"], one["done"]) for one in shown["chunks"]] == [(job, 2, 0)]
    assert "three voices" in sqlite_place.browser("olga", Role.OPERATOR).get("/workers").text


def test_the_shell_lists_and_drains(sqlite_place: Place) -> None:
    sqlite_place.script("ada").job(3)
    with sqlite_place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
    token = sqlite_place.script("olga", Role.OPERATOR).token
    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    where = ["--url", f"http://127.0.0.1:{server.server_port}", "--token", token]
    try:
        assert f"{worker} is drained." in run(workers_command, "drain", worker, *where).stdout
        assert "drained" in run(workers_command, "list", *where).stdout
        assert f"{worker} is idle." in run(workers_command, "undrain", worker, *where).stdout
        assert run(workers_command, "drain", "worker_nobody", *where).exit_code == 2
        (queue,) = json.loads(run(queues_command, *where, "--json").stdout)
        assert queue["items"] == 3
        assert "gpu" in run(queues_command, *where).stdout
        assert "recordings" in run(storage_command, *where).stdout
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
