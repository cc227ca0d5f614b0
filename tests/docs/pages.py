"""The pages of the manual as a forge shows them: headings with their anchors, links, pictures."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import REPOSITORY

_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HTML_TARGET = re.compile(r"""<(?:a|img|source)\b[^>]*?\b(?:href|src|id|name)=["']""", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """One link or picture of a page.

    Attributes:
        page: file that has it.
        address: as written.
        is_picture: shown in place of a link.
    """

    page: Path
    address: str
    is_picture: bool


def pages() -> list[Path]:
    """README, changelog and every page below `docs`, and what other folders tell about themselves."""
    found = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"]
    for folder in ("docs", "weights", "samples"):
        found += (REPOSITORY / folder).rglob("*.md")
    return sorted(found)


def targets(page: Path) -> list[Target]:
    """Every link and picture of a page, in its order. Raw HTML is refused: it would go unchecked.

    Raises:
        ValueError: a link or picture is written in HTML.
    """
    found = []
    for token in _flat(_tokens(page)):
        if token.type in ("html_block", "html_inline") and _HTML_TARGET.search(token.content):
            raise ValueError(f"{page.name} has a link or picture in HTML: {token.content.strip()[:80]}")
        if token.type == "link_open":
            found.append(Target(page, str(token.attrs["href"]), False))
        elif token.type == "image":
            found.append(Target(page, str(token.attrs["src"]), True))
    return found


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    """What can follow `#` in a link to a page: its headings as forges write them, numbered where they repeat."""
    found: dict[str, int] = {}
    tokens = _tokens(page)
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or [])
            anchor = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            found[anchor] = found.get(anchor, -1) + 1
    return frozenset(
        f"{anchor}-{number}" if number else anchor
        for anchor, last in found.items()
        for number in range(last + 1)
    )


def fault(target: Target) -> str | None:
    """What is wrong with a link, or None. Addresses elsewhere are only read, never asked."""
    address = target.address
    parts = urlsplit(address)
    if parts.scheme:
        return _fault_elsewhere(address)
    if address.startswith("/"):
        return "begins at the root of a disk"
    file = (target.page.parent / unquote(parts.path)).resolve() if parts.path else target.page
    if not file.is_relative_to(REPOSITORY):
        return "leaves the repository"
    if not file.exists():
        return "is not there"
    if target.is_picture and file.stat().st_size < 100:
        return "is an empty picture"
    if parts.fragment and file.suffix == ".md" and parts.fragment not in anchors(file):
        return f"has no heading #{parts.fragment}"
    return None


def _fault_elsewhere(address: str) -> str | None:
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http"):
        return f"is of the kind {parts.scheme}"
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost"):
        return "is not encrypted"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or re.search(r"\s", address):
        return "is no address"
    return None


@functools.cache
def _tokens(page: Path) -> list[Token]:
    return _MARKDOWN.parse(page.read_text("utf-8"))


def _flat(tokens: list[Token]) -> list[Token]:
    """All of them, and what they hold, pictures in links as well."""
    return [one for token in tokens for one in (token, *_flat(token.children or []))]
