"""Deleting somebody's data: afterwards neither the bucket nor any table holds anything of it."""

from __future__ import annotations

from sqlalchemy import select

from core.accounts import Role
from core.audit import list_entries
from core.erasure import erase
from core.tables import Base, User
from tests.dashboard.conftest import SOUND, Place, Script

# What stays on purpose: the account with what signs it in, and the log of who did what.
_STAYS = {"users", "secrets", "audit_entries"}


def rows_with(place: Place, *words: str) -> list[str]:
    """Tables and rows in which one of these words stands anywhere."""
    found = []
    with place.database.read() as session:
        for table in Base.metadata.sorted_tables:
            if table.name in _STAYS:
                continue
            for row in session.execute(select(table)):
                found += [f"{table.name}: {row}" for word in words if word in repr(tuple(row))]
    return found


def job_of(script: Script, *contents: bytes, **extra: object) -> str:
    items = [
        {"key": f"key-{number}-of-{extra.get('name')}", "name": f"voice {number}.flac", "recording": one}
        for number, one in enumerate(script.send(content) for content in contents)
    ]
    answer = script.submit(items, **extra)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def test_nothing_of_somebody_is_left_in_the_bucket_or_in_any_table(place: Place) -> None:
    ada, bob = place.script("ada"), place.script("bob")
    shared, own, unused, bobs = (SOUND + word for word in (b"shared", b"own", b"unused", b"bobs"))
    first = job_of(ada, shared, own, name="ada-one", labels={"project": "ada-label"})
    place.worker().run()
    theirs = job_of(bob, shared, bobs, name="bob-one")  # one of its faces comes out of ada's job
    place.worker().run()
    running = job_of(ada, own + b"more", name="ada-two")
    place.store.put(f"jobs/{first}/attempts/1/77.face.png", b"of a lost attempt", "image/png")
    loose = ada.send(unused)
    item = ada.get(f"/api/v1/jobs/{first}/items").json["data"][1]
    marked = ada.ask("PUT", f"/api/v1/jobs/{first}/items/{item['id']}/mark", json={"note": "ada-note"})
    assert marked.status_code == 200, marked.text
    upload = ada.post(
        "/api/v1/uploads", json={"name": "ada-upload.flac", "size_bytes": 9, "fingerprint": "ada-mark"}
    )
    assert upload.status_code == 201, upload.text
    before = bob.get(f"/api/v1/jobs/{theirs}/items").json["data"]

    user = place.user("ada")
    words = (user.id, first, running, "ada-", item["recording"], loose)
    assert len(rows_with(place, *words)) > 20
    asked = ada.post("/api/v1/erasure", json={}).json
    # All that is ada's; what bob sent, too, will stay.
    assert asked["counts"] == {"jobs": 2, "recordings": 4, "faces": 2, "uploads": 1}
    assert (asked["dry_run"], asked["waiting"]) == (True, 1)
    refused = ada.post("/api/v1/erasure", json={"dry_run": False, "confirm": "bob"})
    assert (refused.status_code, len(rows_with(place, *words)) > 20) == (400, True)
    done = ada.post("/api/v1/erasure", json={"dry_run": False, "confirm": "ada"}).json
    # The shared face stays: it is bob's now.
    assert done["counts"] == {"jobs": 2, "recordings": 3, "faces": 1, "uploads": 1}
    assert (done["finished"], done["waiting"], done["left"]) == (True, 0, [])

    # What bob has, too, lies where ada's job once put it.
    left = rows_with(place, *words)
    assert [row.partition(":")[0] for row in left] == ["artifacts"] * 3
    keys = sorted(place.store.keys())
    of_bob = sorted(
        f"recordings/{one['recording'][:2]}/{one['recording']}" for one in before if one["recording"]
    )
    assert [key for key in keys if key.startswith("recordings/")] == of_bob
    assert [key for key in keys if not key.startswith(("recordings/", "jobs/"))] == []
    # Three pictures of each of the two faces that bob's job shows, one of which ada's job once drew.
    assert len([key for key in keys if key.startswith("jobs/")]) == 6
    after = bob.get(f"/api/v1/jobs/{theirs}/items").json["data"]
    assert after == before
    for one in after:
        assert bob.get(one["face_url"]).data.startswith(b"\x89PNG")
        assert bob.get(one["recording_url"]).data.startswith(b"fLaC")
    with place.database.read() as session:
        assert session.get_one(User, user.id).name == "ada"
        assert [one.action for one in list_entries(session, subject=user.id)] == ["user.erase"]
    assert ada.get("/api/v1/jobs").json["data"] == []
    again = ada.post("/api/v1/erasure", json={"dry_run": False, "confirm": "ada"}).json
    assert set(again["counts"].values()) == {0}
    assert ada.job(1)  # the account goes on as a new one


def test_a_job_that_a_worker_holds_is_deleted_once_it_let_go(place: Place) -> None:
    ada = place.script("ada")
    job_of(ada, SOUND + b"1", SOUND + b"2", name="held")
    worker = place.worker()
    chunk = worker.claim(1)
    assert chunk is not None
    user = place.user("ada")
    first = erase(place.database, place.store, user.id, actor=user.id)
    assert (first.finished, first.waiting, first.counts["jobs"]) == (False, 1, 0)
    worker.finish(chunk)
    second = erase(place.database, place.store, user.id, actor=user.id)
    assert (second.finished, second.counts["jobs"]) == (True, 1)
    assert rows_with(place, user.id, chunk.job_id) == []
    assert list(place.store.keys()) == []


def test_only_admins_delete_what_others_have(sqlite_place: Place) -> None:
    place = sqlite_place
    ada, olga = place.script("ada"), place.script("olga", Role.OPERATOR)
    job_of(ada, SOUND, name="one")
    place.worker().run()
    wanted = {"user": "ada", "dry_run": False, "confirm": "ada"}
    assert olga.post("/api/v1/erasure", json=wanted).status_code == 403
    assert olga.post("/api/v1/erasure", json={"user": "ada"}).status_code == 403
    root = place.browser("root", Role.ADMIN)
    assert "the data of ada" in root.get("/erasure?user=ada").text
    assert root.post("/erasure", user="ada", confirm="eve").status_code == 400
    assert list(place.store.keys()) != []
    assert "Deleted 1 jobs" in root.post("/erasure", user="ada", confirm="ada").text
    assert list(place.store.keys()) == []
    assert root.get("/erasure?user=nobody").status_code == 404
    own = place.browser("ada")
    assert "Delete my data" in own.get("/erasure").text
    assert own.get("/erasure?user=root").status_code == 403
