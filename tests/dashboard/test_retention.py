"""What goes by rules of retention, what stays because others need it, and what comes back when it is sent again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import cast

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.claims.results import AlreadyDrawn, publish_outcomes
from core.claims.workers import register_worker
from core.datasets.collections import add_files, ensure_collection
from core.errors import InvalidRequest, NotFound
from core.incoming.recordings import take_in
from core.keeping.erasure import erase
from core.keeping.purging import purge
from core.keeping.retention import preview
from core.keeping.rules import Kept, list_rules, remove_rule
from core.ledger.database import Database, now
from core.ledger.tables import Artifact, Attempt, Drawing, Job, Recording, RecordingOwner
from core.ledger.training_tables import JobFile, LogLine
from core.people.accounts import Role
from core.people.audit import list_entries
from core.states import AttemptState, JobState
from tests.dashboard.conftest import SOUND, Place
from tests.dashboard.retention_place import age, drawn, pictures, preview_counts, rule


def test_faces_of_a_job_that_is_due_go_and_its_rows_stay(place: Place) -> None:
    ada = place.script("ada")
    old, young = drawn(place, ada, 3), None
    place.store.put(f"jobs/{old}/attempts/1/999.face.png", b"of a lost attempt", "image/png")
    young = ada.submit([{"key": "a", "recording": ada.send(SOUND + b"young")}]).json["id"]
    place.worker().run()
    age(place, old, 31)
    assert purge(place.database, place.store, actor="ticker").counts.total() == 0  # there is no rule
    rule(place, Kept.FACES, 30)
    before = pictures(place)
    found = next(one for one in preview(place.database, place.store) if one.kind is Kept.FACES)
    with place.database.read() as session:
        artifacts = session.scalar(
            select(func.sum(Artifact.size_bytes)).where(Artifact.object_key.startswith(f"jobs/{old}/"))
        )
    assert (found.jobs, found.count, found.bytes, found.shared) == ((old,), 3, int(artifacts or 0), 0)
    assert pictures(place) == before == 13  # looking changes nothing

    gone = purge(place.database, place.store, actor="ticker")
    assert (gone.counts["faces"], gone.bytes["faces"], gone.finished) == (3, found.bytes, True)
    assert [key for key in place.store.keys("jobs/") if key.startswith(f"jobs/{old}/")] == []
    assert pictures(place) == 3
    job = ada.get(f"/api/v1/jobs/{old}").json
    assert (job["state"], job["purged_at"] is not None) == ("completed", True)
    items = ada.get(f"/api/v1/jobs/{old}/items").json["data"]
    assert [(one["state"], one["face_url"]) for one in items] == [("done", None)] * 3
    assert ada.get(f"/api/v1/jobs/{young}").json["purged_at"] is None
    with place.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Drawing)) == 1
        entry = list_entries(session, subject="all")[0]
    assert (entry.actor, entry.action, entry.details["counts"]) == ("ticker", "retention.purge", {"faces": 3})
    assert purge(place.database, place.store, actor="ticker").counts.total() == 0
    again = drawn(place, ada, 3)  # they are drawn anew: nothing remembers faces that are gone
    assert ada.get(f"/api/v1/jobs/{again}").json["request_counts"]["done"] == 3


def test_a_face_that_another_job_shows_goes_with_the_last_of_them(place: Place) -> None:
    ada = place.script("ada")
    first = drawn(place, ada, 3)
    second = drawn(place, ada, 2)  # two of the three, out of the cache
    rule(place, Kept.FACES, 10)
    age(place, first, 11)
    assert preview_counts(place)["faces"] == (1, 2)
    assert purge(place.database, place.store, actor="ticker").counts["faces"] == 1
    items = ada.get(f"/api/v1/jobs/{second}/items").json["data"]
    for item in items:
        assert ada.get(item["face_url"]).data.startswith(b"\x89PNG")
    age(place, second, 11)
    assert preview_counts(place)["faces"] == (2, 0)
    assert purge(place.database, place.store, actor="ticker").counts["faces"] == 2
    assert pictures(place) == 0


def test_the_narrowest_rule_counts(sqlite_place: Place) -> None:
    place, ada = sqlite_place, sqlite_place.script("ada")
    plain, labelled, kept = (
        ada.submit([{"key": "a", "recording": ada.send(SOUND + mark)}], labels=labels).json["id"]
        for mark, labels in ((b"1", {}), (b"2", {"project": "radio"}), (b"3", {"project": "radio"}))
    )
    place.worker().run()
    for job_id in (plain, labelled, kept):
        age(place, job_id, 20)
    rule(place, Kept.FACES, 10)
    rule(place, Kept.FACES, 15, "project=radio")
    rule(place, Kept.FACES, None, kept)
    found = next(one for one in preview(place.database, place.store) if one.kind is Kept.FACES)
    assert found.jobs == (plain, labelled)
    rule(place, Kept.FACES, 25, "project=radio")
    purge(place.database, place.store, actor="ticker")
    purged = {one: ada.get(f"/api/v1/jobs/{one}").json["purged_at"] for one in (plain, labelled, kept)}
    assert [purged[one] is not None for one in (plain, labelled, kept)] == [True, False, False]


def test_rules_are_checked_listed_and_taken_back(sqlite_place: Place) -> None:
    place = sqlite_place
    for days, scope, error in (
        (0, "", InvalidRequest),
        (40_000, "", InvalidRequest),
        (5, "nobody", NotFound),
    ):
        with pytest.raises(error):
            rule(place, Kept.LOGS, days, scope)
    rule(place, Kept.LOGS, 5)
    rule(place, Kept.LOGS, 6)
    rule(place, Kept.FACES, 7, " project = radio ")
    with place.database.write() as session:
        assert [(one.kind, one.scope, one.days) for one in list_rules(session)] == [
            ("faces", "project=radio", 7),
            ("logs", "", 6),
        ]
        remove_rule(session, kind=Kept.LOGS, actor=place.user("root").id)
        with pytest.raises(NotFound):
            remove_rule(session, kind=Kept.LOGS, actor=place.user("root").id)


def test_recordings_go_when_no_job_that_stays_has_them_and_come_back_when_sent_again(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    old = drawn(place, ada, 3)
    young = drawn(place, bob, 1)  # the same content as the first of ada's
    loose = ada.send(SOUND + b"of no job")
    age(place, old, 50)
    rule(place, Kept.RECORDINGS, 40)
    assert preview_counts(place)["recordings"] == (2, 1)
    assert purge(place.database, place.store, actor="ticker").counts["recordings"] == 2
    items = ada.get(f"/api/v1/jobs/{old}/items").json["data"]
    assert [one["recording_url"] is None for one in items] == [False, True, True]
    assert ada.get(f"/api/v1/jobs/{old}/items/{items[1]['id']}/recording").status_code == 404
    assert ada.get(items[1]["face_url"]).status_code == 200  # its face stays
    assert bob.get(bob.get(f"/api/v1/jobs/{young}/items").json["data"][0]["recording_url"]).status_code == 200
    assert place.store.exists(f"recordings/{loose[:2]}/{loose}")

    gone = items[1]["recording"]
    refused = ada.submit([{"key": "a", "recording": gone}])
    assert (refused.status_code, "send them first" in refused.text) == (400, True)
    assert ada.get(f"/api/v1/recordings/{gone}").status_code == 404
    assert ada.send(SOUND + bytes([1])) == gone
    assert ada.submit([{"key": "a", "recording": gone}]).status_code == 201
    place.worker().run()
    assert place.store.get(f"recordings/{gone[:2]}/{gone}") == SOUND + bytes([1])
    assert purge(place.database, place.store, actor="ticker").counts.total() == 0


def test_what_was_sent_again_lately_or_is_of_no_job_yet_stays_its_time(sqlite_place: Place) -> None:
    place, ada = sqlite_place, sqlite_place.script("ada")
    old = drawn(place, ada, 2)
    age(place, old, 50)
    rule(place, Kept.RECORDINGS, 40)
    assert ada.send(SOUND + bytes([0]))  # somebody is about to use it again
    loose = ada.send(SOUND + b"of no job")
    assert purge(place.database, place.store, actor="ticker").counts["recordings"] == 1
    with place.database.write() as session:
        past = now(session) - timedelta(days=41)
        session.execute(update(Recording).where(Recording.sha256 == loose).values(created_at=past))
        session.execute(update(RecordingOwner).where(RecordingOwner.sha256 == loose).values(created_at=past))
    assert purge(place.database, place.store, actor="ticker").counts["recordings"] == 1
    assert not place.store.exists(f"recordings/{loose[:2]}/{loose}")


def test_recordings_of_collections_stay(sqlite_place: Place) -> None:
    place, root = sqlite_place, sqlite_place.script("ada")
    old = drawn(place, root, 2)
    sha256 = root.get(f"/api/v1/jobs/{old}/items").json["data"][0]["recording"]
    with place.database.write() as session:
        collection = ensure_collection(session, place.user("ada"), "people")
        add_files(session, place.user("ada"), collection, {"p/voice.flac": sha256})
    age(place, old, 50)
    rule(place, Kept.RECORDINGS, 40)
    assert preview_counts(place)["recordings"] == (1, 1)
    purge(place.database, place.store, actor="ticker")
    assert place.store.exists(f"recordings/{sha256[:2]}/{sha256}")


def test_checkpoints_and_logs_of_ended_trainings_go_and_the_rest_of_their_files_stays(place: Place) -> None:
    ada = place.user("ada")
    with place.database.write() as session:
        at = now(session)
        session.add(
            Job(
                id="job_training",
                kind="train",
                owner_id=ada.id,
                name="",
                spec={},
                queue="gpu",
                state=JobState.COMPLETED,
                created_at=at,
                finished_at=at - timedelta(days=9),
            )
        )
    with place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cpu")
        session.add(
            Attempt(
                id="attempt_1",
                job_id="job_training",
                token=1,
                worker_id=worker,
                state=AttemptState.FINISHED,
                items=1,
                progress_at=at,
                lease_until=at,
                heartbeat_at=at,
                started_at=at,
            )
        )
        session.flush()
        for name, kind, content in (
            ("last.pt", "checkpoint", b"one"),
            ("best.pt", "best", b"two"),
            ("model.bin", "model", b"two"),
            ("curves.csv", "history", b"three"),
        ):
            key = f"jobs/job_training/files/{content.decode()}"
            place.store.put(key, content, "application/octet-stream")
            session.add(
                JobFile(
                    job_id="job_training",
                    name=name,
                    kind=kind,
                    object_key=key,
                    media_type="application/octet-stream",
                    size_bytes=len(content),
                    sha256="0" * 64,
                    attempt_id="attempt_1",
                    created_at=at,
                )
            )
        session.add_all(LogLine(job_id="job_training", level="info", text="ä" * 10, at=at) for _ in range(5))
    rule(place, Kept.CHECKPOINTS, 8)
    rule(place, Kept.LOGS, 10)
    assert preview_counts(place)["checkpoints"] == (2, 0)
    assert preview_counts(place)["logs"] == (0, 0)
    purged = purge(place.database, place.store, actor="ticker")
    assert (purged.counts["checkpoints"], purged.bytes["checkpoints"]) == (2, 3)
    # The best checkpoint is the very model: its content stays.
    assert sorted(place.store.keys("jobs/job_training/")) == [
        "jobs/job_training/files/three",
        "jobs/job_training/files/two",
    ]
    rule(place, Kept.LOGS, 8)
    assert purge(place.database, place.store, actor="ticker").counts["logs"] == 5


def test_a_face_that_goes_while_a_worker_is_about_to_show_it_again_is_drawn_anew(place: Place) -> None:
    ada = place.script("ada")
    old = drawn(place, ada, 1)
    young = ada.job(1)
    worker = place.worker()
    chunk = worker.claim()
    assert chunk is not None and chunk.items[0].drawing_id is not None
    rule(place, Kept.FACES, 1)
    age(place, old, 2)
    assert purge(place.database, place.store, actor="ticker").counts["faces"] == 1
    with place.database.write() as session:
        publish_outcomes(session, chunk, [AlreadyDrawn(chunk.items[0].id, chunk.items[0].drawing_id)])
    assert ada.get(f"/api/v1/jobs/{young}").json["request_counts"]["pending"] == 1
    assert worker.run() == 1
    shown = ada.get(f"/api/v1/jobs/{young}").json
    assert (shown["state"], shown["request_counts"]["done"]) == ("completed", 1)


def test_a_round_whose_time_is_up_stops_after_a_batch_and_the_next_goes_on(sqlite_place: Place) -> None:
    place, ada = sqlite_place, sqlite_place.script("ada")
    for mark in (b"one", b"two", b"three"):
        job = ada.submit([{"key": "a", "recording": ada.send(SOUND + mark)}]).json["id"]
        place.worker().run()
        age(place, job, 2)
    rule(place, Kept.FACES, 1)
    counted = preview(place.database, place.store, seconds=0)[0]
    assert (counted.count, counted.finished) == (1, False)
    stopped = purge(place.database, place.store, actor="ticker", seconds=0)
    assert (stopped.counts.total(), stopped.finished) == (1, False)
    rest = purge(place.database, place.store, actor="ticker", seconds=60)
    assert (rest.counts.total(), rest.finished) == (2, True)
    assert pictures(place) == 0


def test_admins_make_rules_and_remove_now_what_operators_only_look_at(sqlite_place: Place) -> None:
    place, ada = sqlite_place, sqlite_place.script("ada")
    root, olga = place.script("root", Role.ADMIN), place.script("olga", Role.OPERATOR)
    old = drawn(place, ada, 2)
    age(place, old, 8)
    for method, path in (
        ("PUT", "/api/v1/retention/faces"),
        ("DELETE", "/api/v1/retention/faces"),
        ("POST", "/api/v1/retention/purge"),
    ):
        assert olga.ask(method, path, json={"days": 7}).status_code == 403, path
    assert ada.get("/api/v1/retention").status_code == ada.get("/api/v1/retention/preview").status_code == 403
    made = root.ask("PUT", "/api/v1/retention/faces", json={"days": 7}).json
    assert (made["kind"], made["scope"], made["days"]) == ("faces", "", 7)
    root.ask("PUT", "/api/v1/retention/faces", json={"days": None, "scope": "project=radio"})
    assert [one["scope"] for one in olga.get("/api/v1/retention").json["data"]] == ["", "project=radio"]
    faces = olga.get("/api/v1/retention/preview").json["data"][0]
    assert (faces["kind"], faces["jobs"], faces["count"]) == ("faces", [old], 2)
    assert root.post("/api/v1/retention/purge").json == {
        "counts": {"faces": 2},
        "bytes": {"faces": faces["bytes"]},
        "finished": True,
    }
    assert root.ask("DELETE", "/api/v1/retention/faces?scope=project%3Dradio").status_code == 204
    assert root.ask("DELETE", "/api/v1/retention/faces?scope=project%3Dradio").status_code == 404
    assert root.ask("PUT", "/api/v1/retention/dreams", json={"days": 7}).status_code == 400
    assert root.ask("PUT", "/api/v1/retention/logs", json={"days": 7, "scope": "a=\0"}).status_code == 400
    assert root.ask("DELETE", "/api/v1/retention/logs?scope=%00").status_code == 404
    assert root.post("/api/v1/erasure", json={"user": "\0"}).status_code == 404
    with place.database.read() as session:
        assert [one.action for one in list_entries(session)][:2] == ["retention.remove", "retention.purge"]


def test_the_page_of_retention_makes_rules_shows_a_dry_run_and_removes(sqlite_place: Place) -> None:
    place = sqlite_place
    old = drawn(place, place.script("ada"), 2, name="old voices")
    age(place, old, 8)
    root, olga = place.browser("root", Role.ADMIN), place.browser("olga", Role.OPERATOR)
    assert "There is no rule" in root.get("/retention").text
    assert root.post("/retention", kind="faces", scope="", days="7").status_code == 303
    refused = root.post("/retention", kind="faces", scope="nothing like it", days="7")
    assert refused.status_code == 400
    assert "There is no job" in refused.text
    assert root.post("/retention", kind="faces", scope="", days="-3").status_code == 400
    shown = olga.get("/retention?preview=1").text
    assert "old voices" in shown
    assert "Remove it now" not in shown
    assert "Take back" not in shown
    assert "Remove it now" in root.get("/retention?preview=1").text
    assert "Removed 2 faces" in root.post("/retention/purge").text
    assert "The faces of this job were removed" in root.get(f"/jobs/{old}").text
    assert place.browser("ada").get("/retention").status_code == 403
    assert root.post("/retention/remove", kind="faces", scope="").status_code == 303
    assert "There is no rule" in root.get("/retention").text


@pytest.mark.parametrize("removed_by", ["a rule", "its owner"])
def test_what_is_sent_at_the_moment_it_is_removed_is_there_afterwards(place: Place, removed_by: str) -> None:
    ada, bob = place.script("ada"), place.user("bob")
    content = SOUND + bytes([0])
    old = drawn(place, ada, 1)
    age(place, old, 50)
    rule(place, Kept.RECORDINGS, 40)

    class Late:
        """A ledger in which it is removed after somebody looked, and before they write."""

        read = staticmethod(place.database.read)

        @contextmanager
        def write(self) -> Iterator[Session]:
            if removed_by == "a rule":
                assert purge(place.database, place.store, actor="ticker").counts["recordings"] == 1
            else:
                user = place.user("ada").id
                assert erase(place.database, place.store, user, actor=user).counts["recordings"] == 1
            with place.database.write() as session:
                yield session

    late = cast(Database, Late())
    sent = take_in(late, place.store, io.BytesIO(content), owner_id=bob.id, max_bytes=2**20)
    assert place.store.get(sent.object_key) == content
    with place.database.read() as session:
        assert session.get_one(Recording, sent.sha256).purged_at is None
        assert session.get_one(RecordingOwner, (sent.sha256, bob.id))
