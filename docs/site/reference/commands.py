"""Every command of the shell with its arguments and options, as Typer knows them, and `draw`, which argparse knows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import typer.main

from core.cli.main import COMMANDS
from docs.site.reference.tables import code, plain, table
from worker import draw

_KINDS = {"str": "TEXT", "list[str]": "TEXT", "path": "PATH", "int": "N", "list[int]": "N", "float": "X"}


def page() -> str:
    """The page in Markdown."""
    lines = [
        "# Commands",
        "",
        "Every command with all it takes, written from the code. What commands do, print and end with is told in",
        "[the command line](../command_line.md).",
        "",
    ]
    for name, entry in COMMANDS.items():
        lines += [f"## {name}", "", plain(entry.summary), ""]
        if name == "draw":
            lines += list(_of_draw())
            continue
        command = typer.main.get_command(importlib.import_module(entry.module).app)
        below = getattr(command, "commands", None)
        if not below:
            lines += [line for line in _one(name, command) if line != plain(entry.summary)]
        for word, one in (below or {}).items():
            lines += [f"### {name} {word}", "", *_one(f"{name} {word}", one)]
    return "\n".join(lines)


def _one(words: str, command: Any) -> Iterator[str]:
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option" and "completion" not in one.name]
    usage = " ".join(_argument(one) for one in arguments)
    yield from (
        "```text",
        " ".join(f"voicesketch {words} {usage} {'[OPTIONS]' if options else ''}".split()),
        "```",
        "",
    )
    if command.help:
        yield from (plain(command.help.split("\f")[0]), "")
    rows = [[code(_argument(one)), plain(_help(one)), _default(one)] for one in arguments]
    context = command.context_class(command)
    rows += [[_names(one, context), plain(_help(one)), _default(one)] for one in options]
    yield table(("", "what it is", "default"), rows)


def _argument(one: Any) -> str:
    name = (one.metavar or one.name).upper().removesuffix("...") + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _names(one: Any, context: Any) -> str:
    names = ", ".join(code(name) for name in (*one.opts, *one.secondary_opts))
    return names if one.is_flag else f"{names} {code(one.metavar or _value(one, context))}"


def _value(one: Any, context: Any) -> str:
    """What is written behind an option that has no word for it: a text, a number, or one of its values."""
    kind = one.display_type(context).strip("<>")
    return _KINDS.get(kind.removesuffix(" range"), kind)


def _help(one: Any) -> str:
    variable = f" Or `{one.envvar}`." if isinstance(one.envvar, str) else ""
    return f"{one.help or ''}{variable}"


def _default(one: Any) -> str:
    if one.required:
        return "required"
    default = one.default
    if (
        default is None
        or callable(default)
        or default is False
        or default in ("", (), [])
        or "UNSET" in repr(default).upper()
    ):
        return ""
    return code(getattr(default, "value", default))


def _of_draw() -> Iterator[str]:
    rows = []
    for action in draw._parser()._actions:  # neither it nor argparse tells them otherwise
        if action.dest == "help":
            continue
        names = ", ".join(code(name) for name in action.option_strings) or code(action.dest.upper() + "...")
        rows.append([names, plain((action.help or "") % {"default": action.default}), _plain_default(action)])
    yield from ("```text", "voicesketch draw PATH... --out DIR [OPTIONS]", "```", "")
    yield table(("", "what it is", "default"), rows)


def _plain_default(action: Any) -> str:
    if action.required:
        return "required"
    return "" if action.default is False or action.default in (None, []) else code(action.default)
