"""File names for downloads: near to what was given, safe everywhere, never twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.names import FileNames, safe_stem


@pytest.mark.parametrize(
    ("given_name", "stem"),
    [
        ("talk.wav", "talk"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot"),
        ("a/b/c d.flac", "c d"),
        ("nul\0byte.wav", "nul_byte"),
        ("quo\"te'.wav", "quo_te'"),
        ("\U0001f3a4 singer.ogg", "\U0001f3a4 singer"),
        ("archive.tar.gz", "archive.tar"),
        (".hidden", "hidden"),
        ("...", "recording"),
        ("", "recording"),
        ("CON.wav", "recording_CON"),
        ("line\nbreak.wav", "line_break"),
        ("\u202egnp.exe.wav", "gnp.exe"),
    ],
)
def test_a_stem_is_kept_where_it_is_safe(given_name: str, stem: str) -> None:
    assert safe_stem(given_name) == stem


@given(st.lists(st.text(max_size=400), max_size=20))
def test_any_names_become_different_safe_ones(given_names: list[str]) -> None:
    names = FileNames()
    taken = [names.take(name, ".png") for name in given_names]
    assert len({name.casefold() for name in taken}) == len(taken)
    for name in taken:
        assert "/" not in name and "\\" not in name and "\0" not in name
        assert len(name.encode()) <= 255
        assert name not in (".", "..")


def test_names_that_differ_only_in_case_do_not_overwrite_each_other() -> None:
    names = FileNames()
    assert [names.take(name, ".png") for name in ("A.wav", "a.mp3", "a-2.ogg", "A.flac")] == [
        "A.png",
        "a-2.png",
        "a-2-2.png",
        "A-3.png",
    ]
