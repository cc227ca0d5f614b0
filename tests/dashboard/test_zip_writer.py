"""Archives that are written piece by piece, read back by a reader that is not ours."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from dashboard.zip_writer import ZipWriter


def write(entries: dict[str, bytes]) -> bytes:
    writer = ZipWriter()
    pieces = [writer.entry(name, content) for name, content in entries.items()]
    return b"".join([*pieces, *writer.end()])


@pytest.mark.parametrize(
    "names", [[], ["a.png"], ["müller 100%.png", "日本.png", "deep/er.png", "empty.txt"]]
)
def test_what_goes_in_comes_out(names: list[str]) -> None:
    entries = {name: name.encode() * 1000 if name != "empty.txt" else b"" for name in names}
    archive = zipfile.ZipFile(io.BytesIO(write(entries)))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == entries
    assert b"PK\x06\x06" not in write(entries)  # the old form, which everything can read


def test_a_file_becomes_an_entry_from_its_beginning(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3000
    writer = ZipWriter()
    file = io.BytesIO(content)
    file.seek(77)
    path = tmp_path / "a.zip"
    path.write_bytes(
        b"".join([writer.entry("first", b"1"), *writer.entry_of("table.csv", file), *writer.end()])
    )
    assert zipfile.ZipFile(path).read("table.csv") == content


def test_more_entries_than_the_old_form_counts_cost_no_memory(tmp_path: Path) -> None:
    count, path = 70_000, tmp_path / "many.zip"
    writer = ZipWriter()
    tracemalloc.start()
    with path.open("wb") as out:
        for number in range(count):
            out.write(writer.entry(f"voice {number}.png", b"x"))
        out.writelines(writer.end())
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert highest < 8 * 2**20
    archive = zipfile.ZipFile(path)
    assert len(archive.namelist()) == count
    assert archive.read(f"voice {count - 1}.png") == b"x"


def test_entries_behind_four_gigabytes_are_found(tmp_path: Path) -> None:
    # Nothing is stored for the part of the file that is skipped.
    begin, path = 5 * 2**30, tmp_path / "far.zip"
    writer = ZipWriter(begin)
    with path.open("wb") as out:
        out.seek(begin)
        out.writelines([writer.entry("far.png", b"there"), *writer.end()])
    archive = zipfile.ZipFile(path)
    assert archive.infolist()[0].header_offset == begin
    assert archive.read("far.png") == b"there"
