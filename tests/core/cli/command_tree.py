"""The commands of `voicesketch` as they are, and as docs/command_line.md tells of them."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import typer.main

from core.cli.main import COMMANDS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "command_line.md"
# Told once, above all commands.
SAID_ONCE = {"--data", "--url", "--token", "--help"}
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


@functools.cache
def options_by_command() -> dict[str, set[str]]:
    """The long options of every command that can be given, by its words: `jobs list`."""
    found = {}
    for name, entry in COMMANDS.items():
        command = typer.main.get_command(importlib.import_module(entry.module).app)
        below = getattr(command, "commands", None)
        for words, one in (
            [(f"{name} {word}", sub) for word, sub in below.items()] if below else [(name, command)]
        ):
            options = {
                option
                for parameter in one.params
                for option in (*parameter.opts, *parameter.secondary_opts)
                if option.startswith("--")
            }
            found[words] = options - {"--install-completion", "--show-completion"}
    return found


@functools.cache
def usages() -> dict[str, set[str]]:
    """What the page says that each command takes; `jobs cancel|pause JOB` tells of two."""
    told: dict[str, set[str]] = {}
    for usage in _usage_lines():
        words = usage.split()
        for command in _commands(words):
            told.setdefault(command, set()).update(_OPTION.findall(usage))
    return told


def _commands(words: list[str]) -> Iterator[str]:
    first = words[1]
    groups = {name.partition(" ")[0] for name in options_by_command() if " " in name}
    if first not in groups:
        yield first
        return
    for second in words[2].split("|"):
        yield f"{first} {second}"


def _usage_lines() -> Iterator[str]:
    """Each usage as one line, with what it goes on with below."""
    for block in re.findall(
        r"^```\n(voicesketch .*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        yield from re.sub(r"\n +", " ", block).strip().splitlines()


def json_table() -> dict[str, str]:
    """What the page says that `--json` prints, by command."""
    section = PAGE.read_text("utf-8").partition("## What --json prints")[2].partition("\n## ")[0]
    told = {}
    for commands, form in re.findall(r"^\| (`[^|]+`) \| (.+) \|$", section, re.MULTILINE):
        for command in re.findall(r"`([^`]+)`", commands):
            told[command] = form
    return told
