"""Archives that are made to harm: names that lead elsewhere, sizes that lie, archives in themselves."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from core.incoming import archives
from tests.dashboard.conftest import SOUND, Place

_NAMES = (
    "../up.flac",
    "a/../../up.flac",
    "/etc/cron.d/up.flac",
    "..\\up.flac",
    "C:\\windows\\up.flac",
    "c:up.flac",
    "\\\\server\\share\\up.flac",
    "a/..",
    "..",
    ".",
    "/",
    "",
    "a\0b.flac",
)


def packed(*files: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, content in files:
            # Names as they are: the library would mend some of them.
            entry = zipfile.ZipInfo("x")
            entry.filename = entry.orig_filename = name
            entry.compress_type = how
            archive.writestr(entry, content)
    return made.getvalue()


def test_no_name_in_an_archive_leads_anywhere(place: Place) -> None:
    ada = place.script()
    for name in _NAMES:
        body = packed((name, SOUND), ("good.flac", SOUND + b"2"))
        answer = ada.post("/api/v1/archives", data=body)
        assert answer.status_code == 201, (name, answer.text)
        good = {item["key"]: item for item in answer.json["items"]}.pop("good.flac")
        assert good["error_code"] is None
        others = [item for item in answer.json["items"] if item["key"] != "good.flac"]
        assert all(item["error_code"] == "bad_name" for item in others), (name, others)
    stored = list(place.store.keys())
    assert {key.split("/")[0] for key in stored} == {"recordings"}
    assert all(".." not in key and len(key.split("/")) == 3 for key in stored)


def test_an_archive_in_an_archive_is_not_opened_however_it_is_called(place: Place) -> None:
    """As in 42.zip, and in archives that hold themselves for ever."""
    ada = place.script()
    inner = packed(("again.zip", b"PK\x03\x04"), ("voice.flac", SOUND))
    body = packed(("r/r.zip", inner), ("R.ZIP", inner), ("voice.flac", inner))
    lines = {one["key"]: one["error_code"] for one in ada.post("/api/v1/archives", data=body).json["items"]}
    # One that pretends to be a recording is taken for one, as a whole, and will be told that it is none.
    assert lines == {"r/r.zip": "nested_archive", "R.ZIP": "nested_archive", "voice.flac": None}
    assert len(list(place.store.keys("recordings/"))) == 1


def test_files_that_lie_over_one_another_are_refused(place: Place) -> None:
    """One packed file, named a thousand times: each looks small, and all of them are a bomb."""
    whole = packed(("a.flac", bytes(1 << 20)), how=zipfile.ZIP_DEFLATED)
    start = whole.rindex(b"PK\x01\x02")
    end = whole.rindex(b"PK\x05\x06")
    entry = whole[start:end]
    count = 1000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, start, 0)
    answer = place.script().post("/api/v1/archives", data=whole[:start] + entry * count + tail)
    assert answer.status_code == 400, answer.text
    assert list(place.store.keys()) == []


def test_an_entry_that_is_larger_than_it_says_is_not_believed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_HARMLESS_BYTES", 1 << 20)
    whole = bytearray(packed(("a.flac", bytes(1 << 22)), ("good.flac", SOUND), how=zipfile.ZIP_DEFLATED))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        where = whole.index(signature) + at
        whole[where : where + 4] = struct.pack("<L", 10)
    answer = place.script().post("/api/v1/archives", data=bytes(whole))
    assert answer.status_code == 201, answer.text
    lines = {one["key"]: one["error_code"] for one in answer.json["items"]}
    assert lines == {"a.flac": "unreadable_file", "good.flac": None}
    assert sum(size for _, size in place.store.page("")) == len(SOUND)
