"""After somebody's data were deleted: no object, no row, and no copy in a file, a cache, an upload or a browser."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from sqlalchemy import make_url

from core.claims.chunks import ClaimedItem
from core.incoming.uploads import PART_BYTES
from tests.dashboard.conftest import SOUND, Place
from tests.worker.ml.test_audio import tone, wav
from worker import stations
from worker.decoding.decoders import Decoders
from worker.inputs import Given
from worker.ml.audio import Limits

# Words that stand nowhere else.
_WORDS = ("Stimme-der-Erna", "Notiz-ueber-Erna", "Etikett-von-Erna", "unfertig-von-Erna", "Archiv-von-Erna")


def files_with(folder: Path, words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every file below a folder in whose bytes one of the words stands."""
    return [
        (path.name, word)
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


def parts_waiting(place: Place) -> int:
    """Uploads that were begun, as the store knows them; none of them is an object."""
    settings = place.settings
    assert settings.s3_access_key and settings.s3_secret_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
    )
    return len(client.list_multipart_uploads(Bucket=settings.s3_bucket).get("Uploads", []))


def test_no_file_holds_a_word_of_somebody_whose_data_were_deleted(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    ledger = Path(make_url(place.settings.database_url).database or "").parent
    erna, browser = place.script("erna"), place.browser("erna")
    voice, note, label, unfinished, archive = _WORDS
    of_others = parts_waiting(place)  # of tests that had this bucket before

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr(f"{archive}.flac", SOUND + b"a")
    lines = erna.post("/api/v1/archives", data=packed.getvalue()).json["items"]
    # So many rows that pages of the database become free as a whole when they go.
    lines += [
        {"key": f"{voice}-{number}", "name": f"{voice} {number}.flac", "recording": lines[0]["recording"]}
        for number in range(300)
    ]
    answer = erna.submit(lines, labels={"of": label})
    assert answer.status_code == 201, answer.text
    job_id = answer.json["id"]
    place.worker().run()
    item = erna.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    erna.ask("PUT", f"/api/v1/jobs/{job_id}/items/{item['id']}/mark", json={"note": note, "favourite": True})
    begun = erna.post(
        "/api/v1/uploads",
        json={"name": f"{unfinished}.flac", "size_bytes": PART_BYTES + 9, "fingerprint": unfinished},
    ).json
    sent = erna.ask("PUT", f"/api/v1/uploads/{begun['id']}/parts/1", data=bytes(PART_BYTES))
    assert sent.status_code == 200, sent.text
    assert {word for _, word in files_with(ledger, _WORDS)} == set(_WORDS)
    assert parts_waiting(place) == of_others + 1

    done = browser.post("/erasure", confirm="erna")
    assert done.status_code == 200
    assert done.headers["Clear-Site-Data"] == '"cache"'
    assert files_with(ledger, _WORDS) == []
    assert list(place.store.keys()) == []
    assert parts_waiting(place) == of_others
    assert list(temporary.iterdir()) == []


def test_what_a_browser_keeps_is_its_own_for_a_while_and_goes_with_signing_out(place: Place) -> None:
    ada, browser = place.script("ada"), place.browser("ada")
    job_id = ada.job(1)
    place.worker().run()
    (item,) = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"]
    for url in (item["face_url"], item["thumbnail_url"], item["spectrogram_url"], item["recording_url"]):
        assert browser.get(url).headers["Cache-Control"] == "private, max-age=3600", url
    for path in (
        "/jobs",
        f"/jobs/{job_id}",
        f"/api/v1/jobs/{job_id}/items",
        f"/api/v1/jobs/{job_id}/faces.zip",
    ):
        assert browser.get(path).headers["Cache-Control"] == "no-store", path
    assert browser.post("/sign-out").headers["Clear-Site-Data"] == '"cache"'
    asked = ada.post("/api/v1/erasure", json={})
    assert "Clear-Site-Data" not in asked.headers, "nothing was deleted"


def test_a_long_recording_has_no_name_on_the_disk_while_it_is_heard(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed then leaves nothing of it."""
    monkeypatch.setattr(stations, "_IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = wav(tone(3.0, 16_000), 16_000)
    place.store.put("recordings/a", content, "audio/wav")
    item = ClaimedItem(1, "a.wav", "a", "recordings/a", len(content), None)
    seen: list[list[str]] = []

    class Watched(Decoders):
        def decode(self, *given: Any, **more: Any) -> Given:
            seen.append([path.name for path in tmp_path.iterdir() if path.suffix != ".sqlite3"])
            return super().decode(*given, **more)

    with Watched(1) as decoders:
        heard = stations.hear(place.store, decoders, item, Limits())
    assert isinstance(heard, stations.Heard), heard
    assert heard.given.duration_seconds == pytest.approx(3.0)
    assert [[name for name in names if not name.startswith("ledger")] for names in seen] == [[]]
