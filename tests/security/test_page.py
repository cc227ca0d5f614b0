"""docs/security.md names a test for each threat, and each of them is there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| Threat", "| ---"))
]


def names_in(path: str) -> set[str]:
    tree = ast.parse((REPOSITORY / path).read_text("utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef) and _asserts(one)}


def _asserts(function: ast.FunctionDef) -> bool:
    """Whether it can fail: by a word of its own, by what it expects to be raised, or by a helper that does either."""
    return any(
        isinstance(part, ast.Assert)
        or (isinstance(part, ast.With) and "raises" in ast.dump(part.items[0]))
        or (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id.startswith("assert_")
        )
        for part in ast.walk(function)
    )


@pytest.mark.parametrize("row", ROWS, ids=[row[2].rpartition("::")[2].strip("`") for row in ROWS])
def test_each_threat_has_a_test_that_is_there(row: list[str]) -> None:
    assert len(row) == 3, "threat, what is done, test"
    named = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[2])
    assert named, row[2]
    assert (REPOSITORY / named[1]).is_file(), named[1]
    assert named[2] in names_in(named[1]), f"{named[1]} has no test {named[2]} that could fail"
