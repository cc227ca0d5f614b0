"""`voicesketch doctor`: what is here, what runs, what is missing, and what to do about it.

A service that runs is asked how its parts are. Where the environment names the ledger, as in an installation of several
machines, the parts are asked from here, so that it helps when the dashboard is what does not run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.connection import Token, Url, connect
from core.cli.endings import Ending, end, told
from core.cli.up import Folder

app = typer.Typer()

MIB = 2**20


@app.command()
def doctor(
    data: Folder = Path("voicesketch-data"),
    url: Url = None,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; its form is stable.")] = False,
) -> None:
    """Show versions, servers, devices, what runs and how it is, and what to do about what is wrong."""
    with told():
        from core.cli.showing import one_line
        from core.stack.inspection import inspect, problems

        facts = inspect(data)
        health, unwell = _health(facts["stack"]["running"], url, token, data)
        found = [*problems(facts), *unwell]
        checks = health["checks"] if health is not None else []
        found += [_told(check) for check in checks if check["state"] == "failed"]
        warnings = [_told(check) for check in checks if check["state"] == "warning"]
        if as_json:
            typer.echo(
                json.dumps({**facts, "health": health, "warnings": warnings, "problems": found}, indent=1)
            )
        else:
            _show(facts)
            for check in checks:
                typer.echo(f"{check['name']:<16} {check['state']:<8} {one_line(check['says'])}")
            for warning in warnings:
                typer.echo(f"Look at it: {one_line(warning)}")
            for problem in found:
                typer.echo(f"Problem: {one_line(problem)}")
            if not found:
                typer.echo("Nothing is missing.")
    if found:
        end(Ending.SOME_FAILED)


def _health(
    is_running: bool, url: str | None, token: str | None, data: Path
) -> tuple[dict[str, Any] | None, list[str]]:
    """How the parts of the service are, if there is one to ask, and why it could not be asked."""
    from core.config import PREFIX
    from core.errors import VoicesketchError

    try:
        if os.environ.get(f"{PREFIX}DATABASE_URL"):
            return _ask_parts(), []
        if is_running or url is not None:
            return dict(connect(url, token, None if url else data).health()), []
    except VoicesketchError as error:
        return None, [error.message]
    return None, []


def _ask_parts() -> dict[str, Any]:
    from core.config import load_settings
    from core.database import Database
    from core.health import check_health
    from core.store import Store

    settings = load_settings()
    database = Database(settings.database_url)
    try:
        found = check_health(settings, database, Store(settings))
    finally:
        database.dispose()
    checks = [vars(check) for check in found.checks]
    return {"state": found.state, "at": found.at.isoformat(), "checks": checks, "versions": found.versions}


def _told(check: dict[str, Any]) -> str:
    return f"{check['name']}: {check['says']} {check['do']}".strip()


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
