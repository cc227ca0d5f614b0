"""The tutorial, played: what it says to type is typed, in a copy of what a clone has, and what it promises comes."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import BUNDLED_WEIGHTS
from core.stack.ports import choose
from tests.conftest import REPOSITORY
from tests.docs.played_pages import Block, agrees, blocks
from tests.docs.terminals import Running, Terminal, at_work_in, checkout, surroundings

pytestmark = [
    pytest.mark.soak,
    pytest.mark.stack,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="there is no model in weights/ yet"),
    pytest.mark.skipif(
        any(shutil.which(one) is None for one in ("git", "make", "bash")),
        reason="git, make and bash are needed",
    ),
]

PAGE = REPOSITORY / "docs" / "tutorial.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "voicesketch").mkdir()
    return checkout(tmp_path / "voicesketch")


@pytest.fixture
def terminal(clone: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(clone, surroundings(clone, tmp_path / "home"))
    yield terminal
    terminal.close()


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, clone: Path, terminal: Terminal) -> None:
        self._clone = clone
        self._terminal = terminal
        self.service: Running | None = None

    def do(self, block: Block) -> str:
        """Types a block, holds it to what the page says of it, and answers what it printed."""
        if block.in_a_second_terminal:
            *before, last = block.commands
            assert last == "voicesketch up"
            # The port that the page leaves as it is may be somebody's here.
            last += f" --port {choose(['any'])['any']}"
            environ = surroundings(self._clone, self._clone.parent / "home")
            self.service = Running((*before, last), self._clone, environ)
            return self.service.printed
        printed = ""
        for command in block.commands:
            answer = self._terminal.type(command)
            expected = block.ends_with if command == block.commands[-1] else 0
            assert answer.code == expected, f"{command} ended with {answer.code}:\n{answer.printed}"
            assert "Traceback" not in answer.printed
            printed += answer.printed
        if block.shown:
            assert agrees(block.shown, printed), f"The page shows\n{block.shown}\nand there came\n{printed}"
        return printed


def outcomes(folder: Path) -> Counter[str]:
    with (folder / "results.csv").open(newline="") as file:
        return Counter(row["state"] for row in csv.DictReader(file))


def test_the_tutorial_does_what_it_says(clone: Path, terminal: Terminal) -> None:
    reader = Reader(clone, terminal)
    try:
        for block in blocks(PAGE):
            reader.do(block)
            last = block.commands[-1]
            if last.startswith("voicesketch draw "):
                names = ("compass.png", "contact_sheet.png", "results.csv")
                assert all((clone / "first" / name).stat().st_size > 100 for name in names)
            elif '"first try"' in last:
                assert outcomes(clone / "faces") == {"done": 3, "failed": 1}
            elif '"second try"' in "".join(block.commands):
                assert outcomes(clone / "faces") == {"done": 1, "cached": 3}
                assert len(list((clone / "faces").glob("*.png"))) == 5  # the contact sheet is one of them
            elif last.startswith("voicesketch jobs download "):
                assert (clone / "faces.pdf").read_bytes().startswith(b"%PDF")
                assert outcomes(clone / "everything") == {"done": 1, "cached": 3}
            elif last.startswith("voicesketch erase "):
                assert "There is no job yet." in terminal.type("voicesketch jobs list").printed
                assert (clone / "faces.pdf").exists()
        assert reader.service is not None
        assert "/sign-in/" in reader.service.printed
        assert reader.service.interrupt() == 0
        assert [one for one in at_work_in(clone) if "--norc" not in one] == []
        ran = terminal.type("python -c 'import core; print(core.__file__)'").printed
        assert Path(ran.strip()).is_relative_to(clone), "another checkout was played"
    finally:
        if reader.service is not None:
            reader.service.close()
