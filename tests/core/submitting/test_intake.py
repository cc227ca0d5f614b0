"""What PATH... means: which files become lines, in which order, under which key."""

from __future__ import annotations

import inspect
import os
import socket
import sys
from pathlib import Path

import pytest

from core.errors import InvalidManifest, InvalidRequest
from core.incoming.manifest import LONGEST_KEY
from core.submitting.intake import Keys, take_in_paths


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def keys(*paths: Path) -> list[str]:
    return [line.key for line in take_in_paths(paths).lines]


def test_a_folder_is_taken_with_its_folders_in_one_order(tmp_path: Path) -> None:
    make(tmp_path, "b.wav", "a/z.wav", "a/B.wav", "c", "é.wav")
    assert keys(tmp_path) == ["a/B.wav", "a/z.wav", "b.wav", "c", "é.wav"]
    assert keys(tmp_path) == keys(tmp_path)


def test_side_files_and_hidden_ones_are_left_out_and_counted(tmp_path: Path) -> None:
    make(
        tmp_path, "a.wav", "list.csv", "NOTES.TXT", "README", "cover.jpg", ".DS_Store", ".git/config", "b.xyz"
    )
    intake = take_in_paths([tmp_path])
    assert [line.key for line in intake.lines] == ["a.wav", "b.xyz"]
    assert (intake.side_files, intake.hidden_files, intake.left_out) == (4, 2, 6)


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, ".hidden", "notes.txt", "README")
    assert keys(*(tmp_path / name for name in ("notes.txt", ".hidden", "README"))) == [
        "notes.txt",
        ".hidden",
        "README",
    ]


def test_a_manifest_that_is_named_is_read_and_not_taken_as_a_recording(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "m.CSV").write_text("key,path\nmine,a.wav\n")
    assert keys(tmp_path / "m.CSV") == ["mine"]


def test_a_bad_manifest_stops_everything(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "m.jsonl").write_text('{"path": "nowhere.wav"}')
    with pytest.raises(InvalidManifest):
        take_in_paths([tmp_path / "a.wav", tmp_path / "m.jsonl"])


def test_the_same_file_twice_is_two_lines_with_different_keys(tmp_path: Path) -> None:
    make(tmp_path, "a.wav", "a.wav#2")
    assert keys(tmp_path, tmp_path / "a.wav", tmp_path / "a.wav") == [
        "a.wav",
        "a.wav#2",
        "a.wav#3",
        "a.wav#4",
    ]


def test_folders_lie_in_folders_deeper_than_the_interpreter_calls(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 150)
    deep.mkdir(parents=True)
    make(deep, "x.wav")
    make(tmp_path, "z.wav")
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = take_in_paths([tmp_path]).lines
    finally:
        sys.setrecursionlimit(usual)
    assert [line.path for line in found] == [deep / "x.wav", tmp_path / "z.wav"]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, "a/b/x.wav")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "again.wav").symlink_to(tmp_path / "a" / "b" / "x.wav")
    assert keys(tmp_path) == ["a/b/x.wav", "again.wav", "self"]


def test_a_link_to_nothing_is_a_line_so_that_it_is_not_lost(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "gone.wav")
    assert keys(tmp_path) == ["a.wav", "b.wav"]


def test_pipes_and_sockets_in_a_folder_are_not_waited_for(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.wav"))
        assert keys(tmp_path) == ["a.wav"]
    with pytest.raises(InvalidRequest, match="neither a file nor a folder"):
        take_in_paths([tmp_path / "pipe.wav"])


def test_names_that_are_not_utf8_get_a_key_that_can_be_stored(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"ca\xff\xfe.wav")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (line,) = take_in_paths([tmp_path]).lines
    assert line.key == line.name == "ca��.wav"
    assert line.path.read_bytes() == b"x"


@pytest.mark.parametrize(
    "name", ["-rf.wav", "new\nline.wav", "qu\"o'te.wav", "👩🏽‍🎤.wav", " .wav", "a..wav..", "~"]
)
def test_odd_names_are_just_names(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    assert keys(tmp_path) == [name]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere", "There is no file or folder"),
        ("empty", "There is no recording in"),
        ("s3://bucket/prefix", "only files and folders of this machine"),
    ],
)
def test_nothing_to_draw_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no voice")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidRequest, match=sentence):
        take_in_paths([Path(path)])


def test_keys_never_repeat_and_never_outgrow_the_service() -> None:
    taken = Keys()
    given = ["a", "a", "a#2", "a", "x" * 5000, "y" + "x" * 4999, "z" * 1000, "z" * 1000]
    made = [taken.take(key) for key in given]
    assert len(set(made)) == len(made)
    assert max(map(len, made)) <= LONGEST_KEY
