"""`voicesketch doctor`: what is here, what runs, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.endings import Ending, end, told
from core.cli.up import Folder

app = typer.Typer()

MIB = 2**20


@app.command()
def doctor(
    data: Folder = Path("voicesketch-data"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; its form is stable.")] = False,
) -> None:
    """Show versions, servers, devices, and what runs and how much memory it uses."""
    with told():
        from core.stack.inspection import inspect, problems

        facts = inspect(data)
        found = problems(facts)
        if as_json:
            typer.echo(json.dumps({**facts, "problems": found}, indent=1))
        else:
            _show(facts)
            for problem in found:
                typer.echo(f"Problem: {problem}")
            if not found:
                typer.echo("Nothing is missing.")
    if found:
        end(Ending.SOME_FAILED)


def _show(facts: dict[str, Any]) -> None:
    rows = [("Python", f"{facts['python']} on {facts['platform']}")]
    rows += [(name, version or "not installed") for name, version in facts["versions"].items()]
    rows.append(("SQLite library", facts["sqlite"]["version"]))
    rows += [(name, f"{server['version']}  {server['path']}") for name, server in facts["servers"].items()]
    devices = facts["devices"]
    rows.append(
        ("devices", ", ".join([*devices.get("cuda", []), f"CPU ({devices.get('threads', '?')} threads)"]))
    )
    rows.append(("disk free", f"{facts['disk_free_bytes'] / 2**30:.1f} GiB"))
    stack = facts["stack"]
    rows.append(
        ("stack", f"runs at {stack['url']}" if stack["running"] else f"does not run on {stack['data']}")
    )
    rows += [(f"  {name}", f"{used / MIB:8.1f} MiB") for name, used in stack.get("rss_bytes", {}).items()]
    if stack["running"]:
        rows.append(("  in all", f"{stack['rss_total_bytes'] / MIB:8.1f} MiB resident"))
    for name, text in rows:
        typer.echo(f"{name:<16} {text}")
