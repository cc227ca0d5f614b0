"""Items, their pictures, and their recordings."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

from PIL import Image
from sqlalchemy import select, update

from core.ledger.database import now
from core.ledger.tables import Artifact, Drawing, ModelVersion
from tests.dashboard.conftest import SOUND, Place, Script
from tests.fakes import face_picture


def test_items_come_in_the_order_of_submission_page_by_page(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(5)
    place.worker().step(size=2)
    seen, after = [], ""
    while True:
        page = ada.get(f"/api/v1/jobs/{job_id}/items?limit=2{after}").json
        seen += page["data"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert [item["key"] for item in seen] == [f"line {n}" for n in range(5)]
    assert [item["state"] for item in seen] == ["done", "done", "pending", "pending", "pending"]
    assert [item["face_name"] for item in seen] == ["voice 0.png", "voice 1.png", None, None, None]
    assert seen[2]["face_url"] is None
    assert len(ada.get(f"/api/v1/jobs/{job_id}/items?state=done").json["data"]) == 2


def test_faces_of_equal_names_are_told_apart_on_every_page_and_under_every_filter(place: Place) -> None:
    ada = place.script()
    items = [
        {"key": str(n), "name": "folder/talk.wav", "recording": ada.send(SOUND + bytes([n]))}
        for n in range(4)
    ]
    job_id = ada.submit(items).json["id"]
    place.worker(refuse=lambda item: ("no_speech", "") if item.id % 4 == 1 else None).run()
    whole = {item["key"]: item["face_name"] for item in ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]}
    assert len({name for name in whole.values() if name}) == 3
    for limit in (1, 3):
        after, paged = "", {}
        while True:
            page = ada.get(f"/api/v1/jobs/{job_id}/items?limit={limit}{after}").json
            paged |= {item["key"]: item["face_name"] for item in page["data"]}
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert paged == whole
    # Out of order, and narrowed to a state: the names stay.
    last = ada.get(f"/api/v1/jobs/{job_id}/items?after=2").json["data"][0]
    assert last["face_name"] == whole["3"]
    done = ada.get(f"/api/v1/jobs/{job_id}/items?state=done").json["data"]
    assert {item["key"]: item["face_name"] for item in done} == {k: v for k, v in whole.items() if v}
    alone = ada.get(f"/api/v1/jobs/{job_id}/items/{last['id']}").json
    assert alone.pop("origin")["model"] == "default@1"
    assert alone.pop("landmarks_url") is None
    assert alone == last


def test_pictures_are_served_with_a_strong_etag_and_kept_privately(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(1)
    place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    face = ada.get(item["face_url"])
    assert face.data == face_picture(item["recording"])
    assert face.mimetype == "image/png"
    assert face.headers["ETag"] == f'"{hashlib.sha256(face.data).hexdigest()}"'
    assert face.headers["Cache-Control"].startswith("private")
    assert face.headers["X-Content-Type-Options"] == "nosniff"
    again = ada.get(item["face_url"], headers={"If-None-Match": face.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = ada.ask("HEAD", item["face_url"])
    assert (head.content_length, head.data) == (len(face.data), b"")
    assert ada.get(item["spectrogram_url"]).mimetype == "image/png"


def test_landmarks_are_told_of_a_face_whose_model_knows_them(sqlite_place: Place) -> None:
    place, ada = sqlite_place, sqlite_place.script()
    job_id = ada.job(2)
    path = f"/api/v1/jobs/{job_id}/items/{ada.get(f'/api/v1/jobs/{job_id}/items/ids').json['data'][0]}"
    assert ada.get(f"{path}/landmarks").json["detail"] == "This item has no face."
    place.worker(refuse=lambda item: None).run()
    told = ada.get(f"{path}/landmarks").json
    assert (told["order"], told["width"], told["height"], len(told["points"])) == ("ibug68", 224, 224, 68)
    with Image.open(io.BytesIO(ada.get(f"{path}/face.png").data)) as face:
        assert json.loads(face.text["voicesketch:landmarks"])["points"] == told["points"]  # type: ignore[attr-defined]
    assert place.script("grace").get(f"{path}/landmarks").status_code == 404

    # The item says whether it is worth asking: by what its model is.
    def url_for(**config: object) -> str | None:
        with place.database.write() as session:
            session.execute(update(ModelVersion).where(ModelVersion.name == "default").values(config=config))
        url: str | None = ada.get(path).json["landmarks_url"]
        return url

    with place.database.write() as session:
        session.add_all(
            ModelVersion(
                id=f"model_{kind}",
                name=kind,
                version=1,
                sha256="1" * 64,
                files=[],
                config={"kind": kind},
                created_at=now(session),
            )
            for kind in ("face_decoder", "conditional_generator")
        )
    assert url_for() is None
    assert url_for(face_generator={"landmarks": 68}) == f"{path}/landmarks"
    assert url_for(kind="pair", decoder="face_decoder@1") == f"{path}/landmarks"
    for decoder in ("face_decoder@2", "conditional_generator@1", "face_decoder", "", "face_decoder@x"):
        assert url_for(kind="pair", decoder=decoder) is None

    # A face from before there were any.
    key = ada.get(f"{path}/face.png").headers["ETag"].strip('"')
    with place.database.read() as session:
        stored = session.scalars(select(Artifact).where(Artifact.sha256 == key)).one()
    bare = io.BytesIO()
    Image.new("RGB", (8, 8)).save(bare, "PNG")
    place.store.put(stored.object_key, bare.getvalue(), "image/png")
    answer = ada.get(f"{path}/landmarks")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert "the model that drew it told none" in answer.json["detail"]


def test_a_thumbnail_is_served_and_an_early_drawing_without_one_gives_its_face(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(1)
    place.worker().run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    small = ada.get(item["thumbnail_url"])
    assert (small.mimetype, small.data[8:12]) == ("image/webp", b"WEBP")
    assert small.headers["ETag"] == f'"{hashlib.sha256(small.data).hexdigest()}"'
    assert small.headers["Cache-Control"].startswith("private")
    again = ada.get(item["thumbnail_url"], headers={"If-None-Match": small.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert place.script("grace").get(item["thumbnail_url"]).status_code == 404

    with place.database.write() as session:
        session.execute(update(Drawing).values(thumbnail_id=None))
    face = ada.get(item["thumbnail_url"])
    assert (face.mimetype, face.data) == ("image/png", face_picture(item["recording"]))


def test_a_recording_is_served_in_ranges_so_that_a_player_can_seek(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(1)
    url = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]["recording_url"]
    whole = ada.get(url)
    assert whole.data == SOUND + b"\0"
    assert whole.mimetype == "audio/flac"
    assert whole.headers["Accept-Ranges"] == "bytes"
    size = len(whole.data)
    for asked, first, after in (
        ("0-9", 0, 10),
        ("10-", 10, size),
        ("-5", size - 5, size),
        (f"5-{size * 2}", 5, size),
    ):
        part = ada.get(url, headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.data == whole.data[first:after]
        assert part.headers["Content-Range"] == f"bytes {first}-{after - 1}/{size}"
    beyond = ada.get(url, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    several = ada.get(url, headers={"Range": "bytes=0-1,4-5"})
    assert (several.status_code, several.data) == (200, whole.data)
    stale = ada.get(url, headers={"Range": "bytes=0-1", "If-Range": '"another"'})
    assert stale.status_code == 200


def test_what_is_not_known_to_be_audio_is_never_shown_by_a_browser(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    page = b"<html><script>alert(1)</script></html>"
    job_id = ada.submit([{"key": "x", "name": "x.html", "recording": ada.send(page)}]).json["id"]
    url = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]["recording_url"]
    answer = ada.get(url)
    assert answer.data == page
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == "attachment; filename=x.bin"


def test_what_is_not_there_is_not_found(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job_id, other = ada.job(1), ada.job(1)
    items = f"/api/v1/jobs/{job_id}/items"
    item = ada.get(items).json["data"][0]["id"]
    elsewhere = ada.get(f"/api/v1/jobs/{other}/items").json["data"][0]["id"]
    for path in (f"{items}/{item}/face.png", f"{items}/{elsewhere}/recording", f"{items}/{2**62}/recording"):
        answer = ada.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_face_tells_where_it_comes_from_and_nothing_of_jobs_that_are_not_yours(place: Place) -> None:
    ada, grace = place.script(), place.script("grace")
    first = ada.job(2, seed=7)
    place.worker(refuse=lambda item: ("no_speech", "") if item.id % 2 == 0 else None).run()
    again = ada.job(2, seed=7, name="again")
    place.worker().run()
    hers = grace.job(2, seed=7)
    place.worker().run()

    def origins(script: Script, job_id: str) -> list[dict[str, Any] | None]:
        items = f"/api/v1/jobs/{job_id}/items"
        return [
            script.get(f"{items}/{one}").json["origin"] for one in script.get(f"{items}/ids").json["data"]
        ]

    drawn, failed = origins(ada, first)
    assert failed is None
    assert drawn is not None
    assert (drawn["model"], drawn["seed"], drawn["device"]) == ("default@1", 7, "fake")
    assert drawn["job_id"] == first
    shared, anew = origins(ada, again)
    assert shared == drawn
    assert anew is not None
    assert anew["job_name"] == "again"
    foreign = origins(grace, hers)[0]
    assert foreign == drawn | {"job_id": None, "job_name": None}
