"""Commands of the shell that pages show are there, with all their options."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY
from tests.docs.test_commands_in_pages import fault

_TEMPLATES = REPOSITORY / "dashboard" / "templates"
_COMMAND = re.compile(r"(?<![\w/])voicesketch [a-z][^<\n]*")


def shown() -> list[tuple[str, str]]:
    """Every command of the templates, with a word for each value that is put in."""
    found = []
    for path in sorted(_TEMPLATES.rglob("*.html")):
        text = re.sub(r"\{\{.*?\}\}", "NAME", path.read_text("utf-8"))
        text = re.sub(r"\{%.*?%\}", "\n", text)
        found += [(path.name, line) for line in _COMMAND.findall(text)]
    return found


def test_every_command_that_a_page_shows_is_there() -> None:
    lines = shown()
    assert len(lines) > 12
    assert not [f"{name}: {line}: {wrong}" for name, line in lines if (wrong := fault(line))]
