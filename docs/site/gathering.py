"""Brings the pages together as Sphinx wants them: one folder, every page below it, and tables of contents.

The contents are the lists of links in `docs/index.md`, so there is one place that says which pages there are. A forge
shows folders and files that are no part of the site; links to those become what stands in for them here.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_OF_THE_ROOT = ("README.md", "CHANGELOG.md")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
# Written from the code; no page of the repository can link to them, since they are in none.
GENERATED = {
    "commands": "Every command and option",
    "api": "Every route and schema",
    "settings": "Every setting",
    "networks": "Every kind of network",
    "presets": "Every preset of a training",
    "measurements": "Every measurement for Prometheus",
}


def gather(docs: Path, pages: Path) -> None:
    """Copy README, changelog and all of `docs` but its programs; write what only the site has."""
    shutil.copytree(docs, pages, ignore=shutil.ignore_patterns("site", "__pycache__"))
    root = docs.parent
    for name in _OF_THE_ROOT:
        text = (root / name).read_text("utf-8").replace("](docs/", "](")
        if name == "README.md":
            # Beside the site's own first page, the name of the project would say nothing.
            text = _TITLE.sub("# The README", text, count=1)
        (pages / name.lower()).write_text(text, "utf-8")
    _list_decisions(pages / "decisions")
    for page in pages.rglob("*.md"):
        page.write_text(_inside(page.read_text("utf-8"), page, pages, docs), "utf-8")
    index = pages / "index.md"
    listed = [f"- [{title}](reference/{name}.md)" for name, title in GENERATED.items()]
    whole = "\n".join([index.read_text("utf-8").rstrip(), *listed, ""])  # its last list is the reference
    index.write_text(with_contents(whole, pages), "utf-8")


def with_contents(index: str, pages: Path) -> str:
    """The first page with a table of contents for each of its lists, and without links to pages that are not there."""
    lines, tables, title = [], [], ""
    for line in index.splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            tables.append((title, list[str]()))
        named = [path for path, _ in _LINK.findall(line) if path.endswith(".md") and "://" not in path]
        if line.startswith("- ") and not all(
            (pages / path).exists() or path.startswith("reference/") for path in named
        ):
            continue
        if line.startswith("- ") and tables:
            tables[-1][1].extend(path.removesuffix(".md") for path in named[:1])
        lines.append(line)
    for title, named in tables:
        if named:
            lines += ["", "```{toctree}", ":hidden:", f":caption: {title}", "", *named, "```"]
    return "\n".join(lines) + "\n"


def _list_decisions(folder: Path) -> None:
    files = sorted(folder.glob("0*.md"))
    titles = {file.name: _TITLE.search(file.read_text("utf-8")) for file in files}
    listed = [f"- [{title[1] if title else name}]({name})" for name, title in titles.items()]
    contents = ["```{toctree}", ":hidden:", "", *(file.stem for file in files), "```"]
    (folder / "index.md").write_text("\n".join(["# Decisions", "", *listed, "", *contents, ""]), "utf-8")


def _inside(text: str, page: Path, pages: Path, docs: Path) -> str:
    """The same page with every link to what is beside `docs`, or to a folder, led to what stands for it."""
    below = page.relative_to(pages)
    up = "../" * (len(below.parts) - 1)

    def lead(found: re.Match[str]) -> str:
        path, anchor = found[1], found[2] or ""
        if "://" in path:
            return found[0]
        if path.endswith("decisions/"):
            return f"]({up}decisions/index.md)"
        home = docs.parent if path in _OF_THE_ROOT else docs  # README and changelog name each other
        meant = (home / below.parent / path).resolve()
        if meant.parent == docs.parent.resolve() and meant.name in _OF_THE_ROOT:
            return f"]({up}{meant.name.lower()}{anchor})"
        if meant.is_file() and not meant.is_relative_to(docs.resolve()):
            # Such as a configuration to take along: the site has it as a file.
            name = Path("files") / meant.relative_to(docs.parent.resolve())
            (pages / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(meant, pages / name)
            return f"]({up}{name})"
        return found[0]

    return _LINK.sub(lead, text)
