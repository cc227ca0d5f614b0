"""What a page tells people to type, in its order, with what it says that comes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_COMMAND = re.compile(r"voicesketch [a-z]")
_ENDS_WITH = re.compile(r"ends? with (\d+)")
# What is different each time: a page writes … for words, and times as they once were.
_VARIES = re.compile(r"…|\d+\.\d+")


@dataclass(frozen=True)
class Block:
    """Commands that belong together: a fence of `sh`, or a command within a sentence.

    Attributes:
        commands: each with what it goes on with in later lines, without comments that stand alone.
        shown: what the page says that the last of them prints; empty where it says nothing.
        before, after: the sentences around; empty for a command within one.
        is_within: it stands within a sentence.
    """

    commands: tuple[str, ...]
    shown: str = ""
    before: str = ""
    after: str = ""
    is_within: bool = False

    @property
    def in_a_second_terminal(self) -> bool:
        return "second terminal" in self.before

    @property
    def ends_with(self) -> int:
        """The exit code of the last command, as the sentences around say it."""
        said = _ENDS_WITH.search(f"{self.before} {self.after}")
        return int(said[1]) if said else 0


def blocks(page: Path) -> list[Block]:
    """Everything that a page wants typed, from its beginning to its end."""
    parts: list[tuple[str, str]] = []
    for token in _MARKDOWN.parse(page.read_text("utf-8")):
        if token.type == "fence":
            parts.append((token.info.strip(), token.content))
        elif token.type == "inline":
            parts.append(("sentence", " ".join(token.content.split())))
            parts += [
                ("command", child.content)
                for child in token.children or []
                if child.type == "code_inline" and _COMMAND.match(child.content)
            ]
    found = []
    for place, (kind, content) in enumerate(parts):
        if kind == "command":
            found.append(Block(_lines(content), is_within=True))
        elif kind == "sh":
            rest = parts[place + 1 :]
            before = next((text for what, text in reversed(parts[:place]) if what != "command"), "")
            after = rest[0][1] if rest and rest[0][0] == "sentence" else ""
            found.append(Block(_lines(content), _shown(rest), before, after))
    return found


def agrees(shown: str, printed: str) -> bool:
    """Whether lines that a page shows were printed, one after the other.

    `…` stands for anything within a line, and a number with a decimal point for any number.
    """
    lines = []
    for line in shown.strip("\n").splitlines():
        fixed = [re.escape(part) for part in _VARIES.split(line.rstrip())]
        varying = [".*?" if one == "…" else r"\d+(?:\.\d+)?" for one in _VARIES.findall(line)]
        lines.append("".join(part for pair in zip(fixed, [*varying, ""], strict=True) for part in pair))
    return re.search(r"^" + r"\n".join(lines) + r"[ ]*$", printed, re.MULTILINE) is not None


def _shown(parts: list[tuple[str, str]]) -> str:
    """The next fence of `text`, if nothing else is typed before it."""
    for kind, content in parts:
        if kind == "text":
            return content
        if kind != "sentence":
            return ""
    return ""


def _lines(content: str) -> tuple[str, ...]:
    lines = re.sub(r" *\\\n\s*", " ", content).splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
