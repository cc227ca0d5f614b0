"""Manifests: every bad line is told at once, and nothing of a bad manifest is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InvalidManifest
from core.incoming.manifest import Line, read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two recordings, one of them a level down."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.wav").write_bytes(b"a")
    (tmp_path / "sub" / "b, two.wav").write_bytes(b"b")
    return tmp_path


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(path: Path) -> str:
    with pytest.raises(InvalidManifest) as caught:
        read_manifest(path)
    return caught.value.message


def test_a_csv_gives_each_recording_its_own_key(folder: Path) -> None:
    path = write(folder, "m.csv", 'key,path\nfirst,a.wav\nsecond,"sub/b, two.wav"\n')
    assert read_manifest(path) == [
        Line("first", folder / "a.wav", "a.wav"),
        Line("second", folder / "sub" / "b, two.wav", "b, two.wav"),
    ]


def test_json_lines_say_the_same(folder: Path) -> None:
    rows = [{"key": 7, "path": "a.wav", "age": 41}, {"key": "zwölf", "path": "sub/b, two.wav"}]
    path = write(folder, "m.jsonl", "\n\n".join(json.dumps(row) for row in rows))
    assert [line.key for line in read_manifest(path)] == ["7", "zwölf"]


@pytest.mark.parametrize(
    "header", ["id,file", "Name , Recording", "key,audio", "speaker,key,path,split"], ids=lambda text: text
)
def test_usual_names_of_columns_are_understood_and_others_ignored(folder: Path, header: str) -> None:
    columns = [name.strip().lower() for name in header.split(",")]
    row = ["a.wav" if name in ("file", "recording", "audio", "path") else "k" for name in columns]
    (line,) = read_manifest(write(folder, "m.csv", f"{header}\n{','.join(row)}\n"))
    assert (line.key, line.path) == ("k", folder / "a.wav")


def test_without_a_key_column_the_path_is_the_key(folder: Path) -> None:
    (line,) = read_manifest(write(folder, "m.csv", "path\na.wav\n"))
    assert line.key == "a.wav"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheet_may_use_its_own_separator(folder: Path, separator: str) -> None:
    path = write(folder, "m.csv", f"key{separator}path\r\none{separator}a.wav\r\n")
    assert [line.key for line in read_manifest(path)] == ["one"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(folder: Path) -> None:
    path = write(folder, "m.csv", b"\xef\xbb\xbfkey,path\none,a.wav\n")
    assert [line.key for line in read_manifest(path)] == ["one"]


def test_an_absolute_path_stays_what_it_is(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "c.wav"
    elsewhere.write_bytes(b"c")
    (line,) = read_manifest(write(folder, "m.csv", f"key,path\none,{elsewhere}\n"))
    assert line.path == elsewhere


def test_every_bad_line_is_told_with_its_number(folder: Path) -> None:
    text = problems(
        write(
            folder,
            "m.csv",
            b"key,path\n"
            b"one,a.wav\n"
            b"one,a.wav\n"
            b"two,nowhere.wav\n"
            b",a.wav\n"
            b"three,\n"
            b"four,sub\n"
            b"five,a\xff.wav\n"
            b"six,a.wav,more\n"
            b"seven,s3://bucket/a.wav\n" + b"k" * 1001 + b",a.wav\n"
            b"eight,a\0.wav\n",
        )
    )
    told = dict(line.strip().split(" ", 2)[1:] for line in text.splitlines()[1:])
    assert set(told) == {str(number) for number in range(3, 13)}
    assert "uses the key 'one' again (first on line 2)" in told["3"]
    assert "not there" in told["4"] and "no key" in told["5"] and "names no file" in told["6"]
    assert "a folder" in told["7"] and "not UTF-8" in text and "3 cells" in told["9"]
    assert "only files of this machine" in told["10"] and "1,001 characters" in told["11"]
    assert "nothing was submitted" in text


def test_line_numbers_are_those_of_an_editor(folder: Path) -> None:
    text = problems(write(folder, "m.csv", 'key,path\n"two\nlines",a.wav\n\nbad,nowhere.wav\n'))
    assert "line 5 names 'nowhere.wav'" in text and "1 bad line;" in text


def test_lines_that_are_no_json_objects_are_told(folder: Path) -> None:
    text = problems(write(folder, "m.jsonl", '{"path": "a.wav"}\n{"path":\n["a.wav"]\n{"path": ["a.wav"]}\n'))
    assert (
        "line 2 is not JSON" in text and "line 3 is not an object" in text and "line 4 names no file" in text
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n", "is empty"),
        ("header.csv", b"key,path\n", "is empty"),
        ("empty.jsonl", b"\n", "is empty"),
        ("headless.csv", b"one,a.wav\n", "no column"),
        ("utf16.csv", "key,path\n".encode("utf-16"), "UTF-16"),
        ("quote.csv", b'key,path\none,"a.wav\n', "is not CSV"),
    ],
)
def test_a_manifest_that_is_none_says_what_it_lacks(
    folder: Path, name: str, content: bytes, expected: str
) -> None:
    assert expected in problems(write(folder, name, content))


def test_a_hopeless_manifest_does_not_fill_the_screen(folder: Path) -> None:
    rows = "".join(f"k{number},nowhere-{number}.wav\n" for number in range(5000))
    text = problems(write(folder, "m.csv", "key,path\n" + rows))
    assert text.count("\n") < 110 and "5,000 bad lines" in text and "4,900 more" in text
