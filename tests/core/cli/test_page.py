"""docs/command_line.md tells of every command and every option that there is, and of no other."""

from __future__ import annotations

import re

import pytest

from core.cli.endings import Ending
from tests.conftest import REPOSITORY
from tests.core.cli.command_tree import PAGE, SAID_ONCE, options_by_command, usages

TREE = options_by_command()


def test_the_page_tells_of_every_command_and_of_no_other() -> None:
    assert set(usages()) == set(TREE)


@pytest.mark.parametrize("command", sorted(set(TREE) - {"draw"}))
def test_the_page_tells_of_every_option_of_a_command(command: str) -> None:
    assert usages()[command] - SAID_ONCE == TREE[command] - SAID_ONCE


def test_the_page_tells_of_every_option_of_draw() -> None:
    # It is another program, whose libraries take long to load.
    source = (REPOSITORY / "worker" / "draw.py").read_text("utf-8")
    assert usages()["draw"] == set(re.findall(r'add_argument\(\s*"(--[a-z-]+)"', source))


def test_the_page_tells_of_every_ending() -> None:
    told = re.findall(r"^\| (\d+) \| ", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [int(code) for code in told] == [int(ending) for ending in Ending]
