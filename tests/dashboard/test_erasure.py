"""Deleting somebody's data: afterwards neither the bucket nor any table holds anything of it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.keeping import trained_with
from core.keeping.erasure import erase
from core.ledger.database import now
from core.ledger.tables import Base, DatasetVersion, ModelVersion, User
from core.objects import dataset_plan_key
from core.people.accounts import Role
from core.people.audit import list_entries
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


def test_models_that_were_trained_with_somebodys_recordings_are_named(sqlite_place: Place) -> None:
    place = sqlite_place
    ada, bob = place.script("ada"), place.script("bob")
    root, olga = place.script("root", Role.ADMIN), place.user("olga", Role.OPERATOR)
    files = [
        {"path": f"p{number}/voice.flac", "recording": ada.send(SOUND + bytes([number]))}
        for number in range(2)
    ]
    bob.send(SOUND + b"of bob")
    asked = ada.post("/api/v1/datasets", json={"name": "folk", "recipe": {"face": None}, "files": files})
    assert asked.status_code == 201, asked.text
    other = bob.post(
        "/api/v1/datasets",
        json={
            "name": "crowd",
            "recipe": {"face": None},
            "files": [{"path": "p/voice.flac", "recording": bob.send(SOUND + b"of bob")}],
        },
    )
    with place.database.write() as session:
        # As a schedule of olga's would have made it of ada's collection.
        for name, job in (("folk", asked.json["id"]), ("crowd", other.json["id"])):
            session.add(
                DatasetVersion(
                    id=f"dataset_{name}",
                    name=name,
                    version=1,
                    sha256=name[0] * 64,
                    owner_id=olga.id,
                    job_id=job,
                    files=[],
                    summary={},
                    created_at=now(session),
                )
            )
        for name, more in {
            "ears": {"dataset_version_id": "dataset_folk", "config": {"kind": "ve_conv"}},
            "better": {"parent_id": "model_ears", "config": {"kind": "ve_conv"}},
            "both": {"config": {"kind": "pair", "encoder": "better@1", "decoder": "hand@1"}},
            "others": {"dataset_version_id": "dataset_crowd"},
            "gone": {"dataset_version_id": "dataset_folk", "deleted_at": now(session)},
        }.items():
            values = {"config": {}, **more}
            session.add(
                ModelVersion(
                    id=f"model_{name}",
                    name=name,
                    version=1,
                    sha256=name[0] * 64,
                    files=[],
                    created_at=now(session),
                    **values,
                )
            )
            session.flush()
    before = ada.post("/api/v1/erasure", json={}).json
    named = [
        "1 dataset of somebody else with these recordings: folk@1",
        "3 models trained on datasets with these recordings: better@1, both@1, ears@1",
    ]
    assert before["left"][-2:] == named
    hurried = trained_with.find_use(place.database, place.store, place.user("ada").id, seconds=-1)
    assert hurried == trained_with.Use(complete=False)
    assert "others@1" in bob.post("/api/v1/erasure", json={}).json["left"][-1]
    assert place.script("eve").post("/api/v1/erasure", json={}).json["left"] == []
    page = place.browser("ada").post("/erasure", confirm="ada").text
    assert all(one in page for one in named)
    logged = root.get(f"/api/v1/audit?subject={place.user('ada').id}").json["data"][0]
    assert logged["details"]["trained_models"] == ["better@1", "both@1", "ears@1"]
    assert logged["details"]["datasets_of_others"] == ["folk@1"]


def test_a_plan_is_read_in_pieces_of_any_size(sqlite_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place, ada = sqlite_place, sqlite_place.script("ada")
    mine = [ada.send(SOUND + bytes([number])) for number in range(2)]
    strangers = [f"{number:064x}" for number in range(3000)]
    lines = (f'{{"entry": {{"key": "ü{one[:5]}", "source": "{one}"}}}}\n' for one in [*strangers, mine[1]])
    plan = "".join(lines).encode()
    place.store.put(dataset_plan_key("a" * 64), plan, "application/x-ndjson")
    for size in (7, 65, 66, 67, 1000, 10**7):
        pieces = [plan[at : at + size] for at in range(0, len(plan), size)]
        monkeypatch.setattr(place.store, "stream", lambda key, pieces=pieces: iter(pieces))
        found = [one for some in trained_with._contents(place.store, "a" * 64) for one in some]
        assert found == [*strangers, mine[1]], size
    monkeypatch.undo()
    user = place.user("ada").id
    assert trained_with._holds_theirs(place.database, place.store, "a" * 64, user)
    assert not trained_with._holds_theirs(place.database, place.store, "b" * 64, user)
    assert trained_with.find_use(place.database, place.store, user, seconds=5) == trained_with.Use()


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
