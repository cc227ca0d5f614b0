"""Every bad input we know of, mixed with good ones, through the whole stack: each its own end, and nothing lost."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import soundfile
from PIL import Image
from typer.testing import CliRunner

from core.cli.submit import app
from core.client_views import ItemView
from core.errors import InvalidRequest
from core.states import ITEM_WITH_FACE, ItemState, JobState
from core.submitting.downloads import CONTACT_SHEET, RESULTS, download
from core.submitting.submission import SubmitResult, submit, submit_and_wait, wait
from tests.end_to_end import corpus
from tests.end_to_end.house import House, audit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

# What Windows, macOS and Linux together refuse in a file name.
FORBIDDEN = set('\\/:*?"<>|') | {chr(code) for code in range(32)}


@dataclass(frozen=True)
class Mixed:
    """The job over everything at once."""

    expected: dict[str, str | None]
    result: SubmitResult
    items: dict[str, ItemView]
    rows: list[dict[str, str]]
    out: Path


@pytest.fixture(scope="module")
def mixed(house: House, tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    root, out = tmp_path_factory.mktemp("mixed"), tmp_path_factory.mktemp("faces")
    made = [
        *corpus.write_good(root / "good"),
        *corpus.write_formats(root / "formats"),
        *corpus.write_bad(root / "bad"),
        *corpus.write_odd_names(root / "odd"),
    ]
    result = submit_and_wait(house.client, [root], out, name="everything at once", progress=False)
    items = list(house.client.items(result.job_id))
    with (out / RESULTS).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Mixed(
        dict(corpus.expected_codes(made, root)), result, {item.key: item for item in items}, rows, out
    )


def test_each_gets_its_face_or_its_code(mixed: Mixed) -> None:
    assert {key: item.error_code for key, item in mixed.items.items()} == mixed.expected
    faces = {key for key, item in mixed.items.items() if item.state in ITEM_WITH_FACE}
    assert faces == {key for key, code in mixed.expected.items() if code is None}
    assert sum(key.startswith("good/") for key in faces) == corpus.GOOD
    assert mixed.result.state is JobState.COMPLETED_WITH_ERRORS


def test_each_error_is_a_sentence_for_the_person_who_sent_the_file(mixed: Mixed) -> None:
    for key, item in mixed.items.items():
        if item.state is ItemState.FAILED:
            assert item.error_message, key
            assert len(item.error_message) > 20, key
            assert "Traceback" not in item.error_message
            assert "/tmp" not in item.error_message


def test_counts_add_up_everywhere(mixed: Mixed, house: House) -> None:
    result, total = mixed.result, len(mixed.expected)
    failed = Counter(code for code in mixed.expected.values() if code)
    assert (result.total, result.done, result.failed) == (total, total - failed.total(), failed.total())
    assert {error.code: error.count for error in result.errors} == failed
    assert len(mixed.rows) == total
    with house.ledger() as database:
        found = audit(database, result.job_id)
    assert found.items == found.final == total
    assert found.each_drawn_once
    assert found.each_ended_once


def test_results_name_each_recording_and_its_picture(mixed: Mixed) -> None:
    by_key = {row["key"].removeprefix("'"): row for row in mixed.rows}
    assert set(by_key) == set(mixed.expected)
    for key, code in mixed.expected.items():
        row = by_key[key]
        assert row["error_code"] == (code or "")
        assert bool(row["face"]) == (code is None)
        # A spreadsheet would run what begins like this.
        assert row["recording"][0] not in "=+@"


def test_pictures_lie_there_under_safe_names_each_its_own(mixed: Mixed) -> None:
    pictures = {path.name for path in mixed.out.iterdir()} - {RESULTS, CONTACT_SHEET}
    assert pictures == {row["face"].removeprefix("'") for row in mixed.rows if row["face"]}
    assert len(pictures) == mixed.result.done
    assert len({unicodedata.normalize("NFC", name).casefold() for name in pictures}) == len(pictures)
    for name in pictures:
        assert not FORBIDDEN & set(name)
        assert not name.startswith((".", " "))
        assert len(name.encode()) <= 255
        assert not any(unicodedata.category(letter) in ("Cf", "Cs") for letter in name)
        with Image.open(mixed.out / name) as picture:
            assert picture.format == "PNG"
            picture.load()


def test_the_contact_sheet_has_failures_as_well(mixed: Mixed) -> None:
    with Image.open(mixed.out / CONTACT_SHEET) as sheet:
        sheet.load()
        assert min(sheet.size) > 200


def test_the_same_file_twice_is_two_lines_and_one_drawing(house: House, tmp_path: Path) -> None:
    path = tmp_path / "twice.wav"
    soundfile.write(path, corpus.voice(311.0), 16_000)
    result = submit_and_wait(house.client, [path, path], tmp_path / "out", progress=False)
    assert (result.total, result.done) == (2, 2)
    names = sorted(picture.name for picture in (tmp_path / "out").glob("twice*.png"))
    assert names == ["twice-2.png", "twice.png"]
    with house.ledger() as database:
        assert audit(database, result.job_id).each_drawn_once


def test_names_that_only_a_program_can_send_are_just_names(house: House, tmp_path: Path) -> None:
    given = ["../../etc/passwd", "..", "nul\0byte.wav", "x" * 300 + ".wav", "\ud800.wav", "", "<script>.wav"]
    job, token = _post(house, given)
    wait(house.client, job)
    items = list(house.client.items(job))
    assert [item.state in ITEM_WITH_FACE for item in items] == [True] * len(given)
    assert "\0" not in "".join(item.name + item.key for item in items)
    download(house.client, job, tmp_path / "deep" / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"out"}
    assert len(list((tmp_path / "deep" / "out").glob("*.png"))) == len(given) + 1  # and the contact sheet
    page = requests.get(
        f"{house.client.url}/api/v1/jobs/{job}/faces.zip",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert page.status_code == 200


def test_a_job_without_files_is_refused_in_one_sentence(house: House, tmp_path: Path) -> None:
    before = [job.id for job in house.client.jobs(limit=1)]
    with pytest.raises(InvalidRequest, match="no recording"):
        submit(house.client, [tmp_path])
    result = CliRunner().invoke(app, [str(tmp_path), "--data", str(house.data)])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    with pytest.raises(InvalidRequest, match="no recording"):
        house.client.create_job([], idempotency_key="nothing")
    assert [job.id for job in house.client.jobs(limit=1)] == before


def test_a_folder_that_cannot_be_read_is_refused_and_nothing_submitted(
    house: House, locked_folder: Path
) -> None:
    before = [job.id for job in house.client.jobs(limit=1)]
    client = house.client
    with _as_nobody(), pytest.raises(InvalidRequest, match="cannot be read: permission denied"):
        submit(client, [locked_folder])
    assert [job.id for job in client.jobs(limit=1)] == before


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_drawn(
    house: House, locked_folder: Path
) -> None:
    locked_folder.chmod(0o755)
    client = house.client
    with _as_nobody():
        job, _ = submit(client, [locked_folder])
    ended = wait(client, job.id)
    codes = {item.key: item.error_code for item in client.items(job.id)}
    assert codes == {"mine.wav": "unreadable_file", "open.wav": None}
    assert (ended.with_face, ended.counts[ItemState.FAILED]) == (1, 1)


def test_a_recording_larger_than_the_service_takes_is_told_before_it_is_sent(
    house: House, tmp_path: Path
) -> None:
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(513 * 2**20)  # a hole: it takes no room here
    soundfile.write(tmp_path / "small.wav", corpus.voice(317.0), 16_000)
    result = submit_and_wait(house.client, [tmp_path], None, progress=False)
    codes = {item.key: item.error_code for item in house.client.items(result.job_id)}
    assert codes == {"huge.wav": "too_large", "small.wav": None}


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    """A folder of root's that others may not enter, in a place they can reach; pytest's own places are closed."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "locked"
        folder.mkdir()
        soundfile.write(folder / "open.wav", corpus.voice(313.0), 16_000)
        (folder / "mine.wav").write_bytes(b"secret")
        (folder / "mine.wav").chmod(0)
        folder.chmod(0)
        yield folder
        folder.chmod(0o700)


class _as_nobody:
    """Root may read everything: for a moment, be somebody who may not."""

    def __enter__(self) -> None:
        self._was = os.geteuid()
        if self._was == 0:
            os.seteuid(65534)

    def __exit__(self, *_exception: object) -> None:
        os.seteuid(self._was)


def _post(house: House, names: list[str]) -> tuple[str, str]:
    """A job as another program than ours may send it, whatever its names are; answers its id and the token."""
    sound = io.BytesIO()
    soundfile.write(sound, corpus.voice(307.0), 16_000, format="WAV")
    token = house.running.token
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{house.client.url}/api/v1"
    sha256 = hashlib.sha256(sound.getvalue()).hexdigest()
    requests.put(f"{url}/recordings", data=sound.getvalue(), headers=headers, timeout=30).raise_for_status()
    items: list[dict[str, Any]] = [
        {"key": f"{number}{name}", "name": name, "recording": sha256} for number, name in enumerate(names)
    ]
    answer = requests.post(f"{url}/jobs", json={"kind": "infer", "items": items}, headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), token
