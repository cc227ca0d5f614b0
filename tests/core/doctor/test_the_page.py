"""The page about the doctor lists every finding there is, and no other."""

from __future__ import annotations

import ast
import re

from tests.conftest import REPOSITORY


def _codes() -> set[str]:
    """First arguments of findings, and of the one place that chooses between two."""
    found: set[str] = set()
    for path in (REPOSITORY / "core" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.IfExp):
                target = node.targets[0]
                if isinstance(target, ast.Name) and target.id == "code":
                    found |= {
                        part.value
                        for part in (node.value.body, node.value.orelse)
                        if isinstance(part, ast.Constant)
                    }
    return found


def test_the_page_lists_every_finding_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "doctor.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.M))
    assert listed == _codes()
    assert len(listed) > 20
