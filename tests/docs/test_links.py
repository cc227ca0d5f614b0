"""No link, anchor or picture of the manual leads nowhere, and no page is one that nobody links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import Target, anchors, fault, pages, targets

DOCS = REPOSITORY / "docs"
# Folders of the checkout whose files pages speak of.
_ROOMS = ("benchmarks", "core", "dashboard", "deploy", "migrations", "tests", "weights", "worker")
# What whoever runs it makes.
_MADE_LATER = ("dashboard/translations", "deploy/secrets", "deploy/settings.env", "weights/measures")


def test_every_link_and_picture_leads_somewhere() -> None:
    all_targets = [target for page in pages() for target in targets(page)]
    assert len(all_targets) > 150
    wrong = [
        f"{target.page.relative_to(REPOSITORY)}: {target.address} {found}"
        for target in all_targets
        if (found := fault(target))
    ]
    assert not wrong


def test_every_file_and_program_that_a_page_names_is_there() -> None:
    named = {
        (str(page.relative_to(REPOSITORY)), found)
        for page in pages()
        for found in re.findall(r"`((?:{})/[\w./-]+)".format("|".join(_ROOMS)), page.read_text("utf-8"))
    }
    programs = {
        (str(page.relative_to(REPOSITORY)), found.rstrip(".").replace(".", "/"))
        for page in pages()
        for found in re.findall(r"python -m ((?:{})[\w.]*)".format("|".join(_ROOMS)), page.read_text("utf-8"))
    }
    assert len(named) > 150 and len(programs) > 20
    wrong = [
        one for one in named if not one[1].startswith(_MADE_LATER) and not (REPOSITORY / one[1]).exists()
    ]
    wrong += [
        one
        for one in programs
        if not (REPOSITORY / f"{one[1]}.py").exists() and not (REPOSITORY / one[1] / "__main__.py").exists()
    ]
    assert not sorted(wrong)


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [REPOSITORY / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in targets(page):
            file = (page.parent / target.address.partition("#")[0]).resolve()
            if file.is_dir() and file.is_relative_to(DOCS):
                ahead += file.glob("*.md")
            elif file.suffix == ".md" and file.exists():
                ahead.append(file)
    assert not set(DOCS.rglob("*.md")) - reached


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(one.page.parent / one.address).resolve() for page in pages() for one in targets(page)}
    pictures = {file for file in (DOCS / "pictures").iterdir() if file.suffix in (".webp", ".png", ".svg")}
    assert not pictures - shown


def test_the_readme_stays_one_page() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("architecture.md", None),
        ("architecture.md#states-of-a-job", None),
        ("#states-of-a-job", None),
        ("decisions/", None),
        ("../README.md", None),
        ("https://arxiv.org/abs/1905.09773", None),
        ("http://127.0.0.1:8000", None),
        ("nowhere.md", "is not there"),
        ("architecture.md#nothing", "has no heading #nothing"),
        ("#nothing", "has no heading #nothing"),
        ("../../elsewhere.md", "leaves the repository"),
        ("/etc/passwd", "begins at the root of a disk"),
        ("http://example.org", "is not encrypted"),
        ("https://two words.org", "is no address"),
        ("javascript:void(0)", "is of the kind javascript"),
    ],
)
def test_a_link_that_is_wrong_is_found(address: str, found: str | None) -> None:
    assert fault(Target(DOCS / "architecture.md", address, is_picture=False)) == found


def test_a_picture_that_is_empty_is_found() -> None:
    empty = REPOSITORY / "worker" / "ml" / "networks" / "__init__.py"  # the smallest file there is
    assert empty.stat().st_size < 100
    assert fault(Target(empty, empty.name, is_picture=True)) == "is an empty picture"


def test_anchors_are_those_of_a_forge(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# What `--json` prints, *now*\n\n## Twice\n\n## Twice\n\n```\n# no heading\n```\n", "utf-8"
    )
    assert anchors(page) == {"what---json-prints-now", "twice", "twice-1"}


def test_links_in_html_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('A <a href="nowhere.md">link</a>.\n', "utf-8")
    with pytest.raises(ValueError, match="in HTML"):
        targets(page)
