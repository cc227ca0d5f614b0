"""`voicesketch doctor`: what is here, what runs, what is missing, and what to do about it.

A service that runs is asked how its parts are. Where the environment names the ledger, as in an installation of several
machines, or a stack runs on the data folder, the parts are asked from here as well, so that it helps when the dashboard
is what does not run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import Token, Url, connect
from core.cli.endings import Ending, end, told
from core.cli.up import Folder

if TYPE_CHECKING:
    from core.config import Settings
    from core.doctor.findings import Finding

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
        from core.stack.inspection import inspect

        facts = inspect(data)
        findings, health, unwell = _look(data, facts, url, token)
        explained = {finding.part for finding in findings}
        checks = health["checks"] if health is not None else []
        # What a finding explains better need not be said twice.
        left = [check for check in checks if check["name"] not in explained]
        problems = [finding.sentence() for finding in findings if finding.severity == "problem"] + unwell
        problems += [_told(check) for check in left if check["state"] == "failed"]
        warnings = [finding.sentence() for finding in findings if finding.severity == "warning"]
        warnings += [_told(check) for check in left if check["state"] == "warning"]
        if as_json:
            told_findings = [vars(finding) for finding in findings]
            whole = {"findings": told_findings, "warnings": warnings, "problems": problems}
            typer.echo(json.dumps({**facts, "health": health, **whole}, indent=1))
        else:
            _show(facts)
            for check in checks:
                typer.echo(f"{check['name']:<16} {check['state']:<8} {one_line(check['says'])}")
            for warning in warnings:
                typer.echo(f"Look at it: {one_line(warning)}")
            for problem in problems:
                typer.echo(f"Problem: {one_line(problem)}")
            if not problems:
                typer.echo("Nothing is missing.")
    if problems:
        end(Ending.SOME_FAILED)


def _look(
    data: Path, facts: dict[str, Any], url: str | None, token: str | None
) -> tuple[list[Finding], dict[str, Any] | None, list[str]]:
    """What was found here, how the parts of the service are, and why it could not be asked."""
    from core.doctor.round import of_a_place, of_this_machine
    from core.doctor.variables import loaded, misspelt
    from core.errors import VoicesketchError
    from core.stack.keeping import names_a_ledger, settings_of_place

    findings = of_this_machine(data, facts, os.environ)
    if names_a_ledger(os.environ):
        settings, unusable = loaded(os.environ)
        findings += unusable
        if settings is None:
            return findings, None, []
        findings += of_a_place(settings)
        return findings, _ask_parts(settings), []
    findings += misspelt(os.environ)
    try:
        if facts["stack"]["running"] and url is None:
            with settings_of_place(data, os.environ) as settings:
                findings += of_a_place(settings)
        if facts["stack"]["running"] or url is not None:
            return findings, dict(connect(url, token, None if url else data).health()), []
    except VoicesketchError as error:
        return findings, None, [error.message]
    return findings, None, []


def _ask_parts(settings: Settings) -> dict[str, Any] | None:
    from core.errors import VoicesketchError
    from core.ledger.database import Database
    from core.store import Store
    from core.watching.health import check_health

    try:
        database = Database(settings.database_url)
    except VoicesketchError:
        return None  # told as a finding
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
