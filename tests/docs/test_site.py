"""The site of the manual: its contents, its diagrams, and a reference that has everything the code has."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from core.config import PREFIX, Settings
from core.training.presets import PRESETS
from docs.site.diagrams import draw
from docs.site.gathering import GENERATED, gather
from docs.site.reference import PAGES, commands, measurements, presets, settings
from tests.conftest import REPOSITORY
from tests.core.cli.command_tree import SAID_ONCE, options_by_command

DOCS = REPOSITORY / "docs"


def test_every_page_has_its_place_in_one_table_of_contents(tmp_path: Path) -> None:
    gather(DOCS, tmp_path / "pages")
    tables = [
        found
        for page in (tmp_path / "pages").rglob("*.md")
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(":")
        for found in [(page.parent / f"{line}.md").resolve()]
    ]
    pages = set((tmp_path / "pages").rglob("*.md")) - {tmp_path / "pages" / "index.md"}
    generated = {tmp_path / "pages" / "reference" / f"{name}.md" for name in GENERATED}
    assert set(tables) == {page.resolve() for page in pages | generated}
    assert len(tables) == len(set(tables))


def test_a_page_that_is_not_there_is_left_out_of_the_contents(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "decisions").mkdir(parents=True)
    (tmp_path / "README.md").write_text("# Me\n\n[manual](docs/here.md)\n", "utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n", "utf-8")
    (docs / "here.md").write_text("# Here\n\n[up](../README.md#me)\n", "utf-8")
    (docs / "index.md").write_text("# All\n\n## One\n\n- [Here](here.md)\n- [Away](away.md)\n", "utf-8")
    gather(docs, tmp_path / "pages")
    index = (tmp_path / "pages" / "index.md").read_text("utf-8")
    assert ":caption: One\n\nhere\n" in index
    assert "away" not in index
    assert "[up](readme.md#me)" in (tmp_path / "pages" / "here.md").read_text("utf-8")
    readme = (tmp_path / "pages" / "readme.md").read_text("utf-8")
    assert readme.startswith("# The README\n")  # its own title is the site's
    assert "[manual](here.md)" in readme


def test_the_reference_has_a_title_for_each_of_its_pages() -> None:
    assert set(PAGES) == set(GENERATED)


def test_the_reference_has_every_command_and_option() -> None:
    written = commands.page()
    for command, options in options_by_command().items():
        level = "###" if " " in command else "##"
        section = written.partition(f"\n{level} {command}\n")[2]
        section = re.split(r"\n##", section)[0]
        missing = {option for option in options - SAID_ONCE if f"`{option}`" not in section}
        assert section and not missing, command


def test_the_reference_says_what_can_be_written_behind_an_option() -> None:
    written = commands.page()
    assert "`--which` `all\\|failed\\|faces`" in written
    assert "`--priority` `N`" in written
    assert "voicesketch submit [PATH...] [OPTIONS]" in written
    assert "<" not in "".join(re.findall(r"^\| `--[^|]*", written, re.MULTILINE))


def test_the_reference_has_every_setting_and_preset() -> None:
    written = settings.page()
    assert set(re.findall(r"^\| `(\w+)`", written, re.MULTILINE)) == {
        PREFIX + name.upper() for name in Settings.model_fields
    }
    assert re.findall(r"^## (\S+)$", presets.page(), re.MULTILINE) == list(PRESETS)
    section = presets.page().partition("\n## default\n")[2]
    assert "Reads `waveform`, `picture` of a dataset." in section  # what to ask a preparation for


def test_the_reference_has_every_measurement_that_alerts_ask_for() -> None:
    named = set(re.findall(r"^\| `(\w+)`", measurements.page(), re.MULTILINE))
    rules = (REPOSITORY / "deploy" / "monitoring" / "alerts.yaml").read_text("utf-8")
    asked = set(re.findall(r"\bvoicesketch_[a-z_]+", rules))
    assert asked
    assert {re.sub(r"_(bucket|sum|count)$", "", one) for one in asked} <= named


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_diagram_of_the_manual_can_be_drawn(theme: str) -> None:
    sources = [
        source
        for page in DOCS.rglob("*.md")
        for source in re.findall(r"^```mermaid\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    ]
    assert len(sources) >= 3
    for source in sources:
        svg = draw(source, theme)
        root = ElementTree.fromstring(svg)
        assert int(root.attrib["width"]) > 100
        assert int(root.attrib["height"]) > 50
        assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)  # nothing is fetched
        assert "<script" not in svg


def test_a_diagram_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw("flowchart LR\n    a -->|", "light")
