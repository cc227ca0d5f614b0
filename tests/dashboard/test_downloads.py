"""Sheets, links, and notes about a job's end."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.error
import urllib.request
import zipfile

import pytest
from PIL import Image
from sqlalchemy import select

from core.faces.sheet_pdf import pdf_pieces
from core.ledger.schedule_tables import JobWebhook, WebhookDelivery
from core.webhook_sending import verify
from core.webhooks import deliver
from dashboard.api import downloads
from dashboard.app import create_app
from tests.core.client.small_service import Answer, Asked, small_service
from tests.dashboard.conftest import Place, Script
from tests.fakes import face_picture


def first_item(ada: Script, job_id: str) -> str:
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    return f"/api/v1/jobs/{job_id}/items/{item['id']}"


def test_a_sheet_shows_a_page_of_faces_and_says_that_they_are_generated(
    sqlite_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "FACES_OF_A_PAGE", 4)
    ada = sqlite_place.script()
    job_id = ada.job(7)
    path = f"/api/v1/jobs/{job_id}/contact-sheet"
    assert ada.get(f"{path}.png").status_code == 404
    sqlite_place.worker(refuse=lambda item: ("no_speech", "Silence.") if "6" in item.name else None).run()
    sheets = [ada.get(f"{path}.png?page={page}") for page in (1, 2, 3)]
    assert [sheet.status_code for sheet in sheets] == [200, 200, 404]
    first, second = (Image.open(io.BytesIO(sheet.data)) for sheet in sheets[:2])
    assert "AI-generated" in first.text["Description"]  # type: ignore[attr-defined]
    assert first.tobytes() != second.tobytes()
    whole = ada.get(f"{path}.pdf")
    assert whole.mimetype == "application/pdf"
    assert b"/Count 2 " in whole.data
    assert ada.get(f"{path}.pdf?page=2").data.count(b"/Type /Page ") == 1
    assert ada.get(f"{path}.png?state=failed").status_code == 404
    assert sqlite_place.script("bob").get(f"{path}.pdf").status_code == 404


def test_every_object_of_a_sheet_is_where_its_table_says() -> None:
    face = face_picture("ab" * 32)
    tile = downloads.Tile("an (odd) name >>", face, None, None)
    made = b"".join(pdf_pieces((([tile] * 5, f"page {n}") for n in range(3)), "x) >> /Evil (ä"))
    start = int(made.split(b"startxref\n")[1].split()[0])
    assert made[start:].startswith(b"xref\n")
    offsets = [int(entry) for entry in re.findall(rb"(\d{10}) 00000 n", made[start:])]
    assert len(offsets) == 3 + 3 * 3
    for number, offset in enumerate(offsets, 1):
        assert made[offset:].startswith(f"{number} 0 obj\n".encode())
    assert b"/Evil" not in made
    pictures = re.findall(rb"/Length (\d+) >>\nstream\n(?=\xff\xd8)", made)
    at = made.index(b"stream\n\xff\xd8") + 7
    with Image.open(io.BytesIO(made[at : at + int(pictures[0])])) as picture:
        picture.load()


def test_a_link_gives_the_face_to_whoever_has_it_and_to_nobody_without_its_signature(
    sqlite_place: Place,
) -> None:
    ada = sqlite_place.script()
    job_id = ada.job(1)
    item = first_item(ada, job_id)
    assert ada.post(f"{item}/link").status_code == 404  # no face yet
    sqlite_place.worker().run()
    refused = ada.post(f"{item}/link")
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert "VOICESKETCH_S3_PUBLIC_URL" in refused.json["detail"]
    public = sqlite_place.settings.model_copy(update={"s3_public_url": sqlite_place.settings.s3_endpoint_url})
    outside = Script(create_app(public), ada.token)
    made = outside.post(f"{item}/link").json
    assert re.search(r"Expires=900\b", made["url"])
    with urllib.request.urlopen(made["url"]) as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="voice 0.png"'
        assert Image.open(io.BytesIO(answer.read())).size == (224, 224)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(made["url"].split("?")[0])
    assert error.value.code == 403
    error.value.close()
    bob = Script(outside.app, sqlite_place.script("bob").token)
    assert bob.post(f"{item}/link").status_code == 404


def test_the_end_of_a_job_is_told_signed_and_each_end_once(place: Place) -> None:
    ada = place.script()
    job_id = ada.job(2)
    told: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        told.append(asked)
        return Answer(500 if len(told) == 1 else 200)

    with small_service(answer) as receiver:
        with place.database.write() as session:
            session.add(JobWebhook(job_id=job_id, url=f"{receiver.url}/done", secret="vswh_test"))
        place.worker(refuse=lambda item: ("no_speech", "Silence.") if "0" in item.name else None).step(1)
        assert ada.get(f"/api/v1/jobs/{job_id}/webhook").json["notes"] == []
        place.worker().run()
        assert deliver(place.database, private=True) == 0
        shown = ada.get(f"/api/v1/jobs/{job_id}/webhook").json
        assert shown["url"] == f"{receiver.url}/done"
        assert [(note["attempts"], note["last_error"]) for note in shown["notes"]] == [
            (1, "It answered 500.")
        ]
        page = place.browser("ada").get(f"/jobs/{job_id}").text
        assert "not told yet" in page and "It answered 500." in page and "/done" not in page
        with place.database.write() as session:
            note = session.scalars(select(WebhookDelivery)).one()
            note.next_attempt_at = note.created_at
        assert deliver(place.database, private=True) == 1
        assert ada.post(f"/api/v1/jobs/{job_id}/retry", json={"which": "failed"}).json["retried"] == 1
        place.worker().run()
        assert deliver(place.database, private=True) == 1
    bodies = [json.loads(asked.body) for asked in told]
    assert [body["state"] for body in bodies] == [
        "completed_with_errors",
        "completed_with_errors",
        "completed",
    ]
    assert bodies[0] == bodies[1] and bodies[0]["event"] == "job.ended" and bodies[0]["job"] == job_id
    assert bodies[2]["request_counts"]["done"] == 2
    for asked in told:
        assert verify("vswh_test", asked.headers, asked.body, time.time())
        assert not verify("vswh_other", asked.headers, asked.body, time.time())
    notes = ada.get(f"/api/v1/jobs/{job_id}/webhook").json["notes"]
    assert [(note["delivered"], note["attempts"]) for note in notes] == [(True, 1), (True, 2)]
    told_page = place.browser("ada").get(f"/jobs/{job_id}").text
    assert told_page.count("<b>Delivered</b>") == 2 and "not told yet" not in told_page
    assert place.script("bob").get(f"/api/v1/jobs/{job_id}/webhook").status_code == 404
    assert "vswh_test" not in ada.get(f"/api/v1/jobs/{job_id}/webhook").text


def test_the_form_of_a_choice_takes_numbers_and_ranges_and_nothing_else(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    job_id, other = ada.job(4), ada.job(1)
    sqlite_place.worker().run()
    ids = ada.get(f"/api/v1/jobs/{job_id}/items/ids").json["data"]
    path = f"/jobs/{job_id}/chosen/faces.zip"
    taken = browser.post(path, chosen=f"{ids[0]},{ids[2]}-{ids[3]}")
    names = zipfile.ZipFile(io.BytesIO(taken.data)).namelist()
    assert {"voice 0.png", "voice 2.png", "voice 3.png"} == {name for name in names if name.endswith(".png")}
    sheet = browser.post(f"/jobs/{job_id}/chosen/contact-sheet.pdf", chosen=f"{ids[0]}-{ids[3]}")
    assert (sheet.mimetype, sheet.data[:5]) == ("application/pdf", b"%PDF-")
    elsewhere = ada.get(f"/api/v1/jobs/{other}/items/ids").json["data"][0]
    for chosen, status in (
        ("", 400),
        ("1,", 400),
        ("-", 400),
        ("4-2", 400),
        ("0-99999999999", 400),
        ("١", 400),
        ("1;2", 400),
        (f"{ids[0]},{elsewhere}", 404),
        ("999999999999999999", 404),
    ):
        assert browser.post(path, chosen=chosen).status_code == status, chosen
    assert (
        browser.client.post(path, data={"chosen": str(ids[0])}).status_code == 400
    )  # without the page's token
    assert sqlite_place.browser("grace").post(path, chosen=str(ids[0])).status_code == 404
    script = ada.post(f"/api/v1/jobs/{job_id}/contact-sheet.pdf", json={"items": ids[:2]})
    assert (script.mimetype, script.data[:5]) == ("application/pdf", b"%PDF-")
    assert (
        ada.post(f"/api/v1/jobs/{job_id}/contact-sheet.pdf", json={"items": [elsewhere]}).status_code == 404
    )
