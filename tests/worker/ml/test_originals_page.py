"""The page about the originals' faults names tests; they must be there."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_every_test_that_the_page_names_exists() -> None:
    page = (REPOSITORY / "docs" / "originals.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    written = set()
    for file in (REPOSITORY / "tests").rglob("test_*.py"):
        written |= set(re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE))
    assert len(named) > 40
    assert named - written == set()
