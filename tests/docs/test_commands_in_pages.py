"""Commands that pages tell people to type are there, with all their options."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.conftest import REPOSITORY
from tests.core.cli.command_tree import SAID_ONCE, options_by_command
from tests.docs.pages import pages

_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(voicesketch [a-z][^`]*)`")
_BEGUN = re.compile(r"(?:[\d*]+ +)*(voicesketch [a-z-]+.*)")  # by hand, or by cron
# It is another program, whose libraries take long to load; its own page is held to it.
_DRAW = {"--out", "--model", "--seed", "--device", "--json"}


def typed() -> list[tuple[str, str]]:
    """Every command line of the pages: the page, and the line with what it goes on with below."""
    found: list[tuple[str, str]] = []
    for page in pages():
        text = page.read_text("utf-8")
        lines = [
            line.strip()
            for block in _BLOCK.findall(text)
            for line in re.sub(r"\\\n\s*", " ", block).splitlines()
        ]
        lines += [" ".join(one.split()) for one in _INLINE.findall(text)]
        name = str(page.relative_to(REPOSITORY))
        found += [(name, begun[1]) for line in lines if (begun := _BEGUN.match(line))]
    return found


def fault(line: str) -> str | None:
    """What a command line has that the shell would not take, or None."""
    words = shlex.split(line, comments=True)
    known = options_by_command()
    groups = {name.partition(" ")[0] for name in known if " " in name}
    first = words[1]
    command = " ".join(words[1:3]) if first in groups and len(words) > 2 else first
    if command in groups:
        return None  # named as a whole
    spoken = command.partition(" ")
    for one in spoken[2].split("|") if "|" in command else [spoken[2]]:
        if f"{first} {one}".strip() not in known:
            return f"there is no {first} {one}".strip()
    options = {option for word in words for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", word)}
    taken = _DRAW if first == "draw" else known.get(command.partition("|")[0], set())
    strange = options - taken - SAID_ONCE - {"--install-completion", "--show-completion"}
    return f"{command} takes no {', '.join(sorted(strange))}" if strange else None


def test_every_command_that_pages_tell_of_is_there() -> None:
    lines = typed()
    assert len(lines) > 60
    assert not [f"{page}: {line}: {found}" for page, line in lines if (found := fault(line))]


def test_every_page_that_says_how_to_do_something_is_played() -> None:
    source = (REPOSITORY / "tests" / "docs" / "test_how_to.py").read_text("utf-8")
    played = {name.replace("_", "-") for name in re.findall(r"^def test_(\w+)\(", source, re.MULTILINE)}
    assert played == {page.stem for page in (REPOSITORY / "docs" / "how-to").glob("*.md")}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("voicesketch jobs retry JOB --code worker_lost --wait", None),
        ("voicesketch draw a.wav --out faces   # --nothing", None),
        ("voicesketch jobs repeat JOB", "there is no jobs repeat"),
        ("voicesketch paint a.wav", "there is no paint"),
        ("voicesketch jobs list --colour", "jobs list takes no --colour"),
    ],
)
def test_a_command_that_is_not_there_is_found(line: str, found: str | None) -> None:
    assert fault(line) == found
