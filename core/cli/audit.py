"""`voicesketch audit`: who changed what that others rely on."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer()


@app.command()
def audit(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    subject: Annotated[
        str | None, typer.Option(help="Only changes of this, such as the id of a job.", metavar="ID")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show who changed what that others rely on, newest first; for operators and administrators."""
    with told():
        from core.cli.showing import moment, one_line, print_json, print_table

        entries = list(connect(url, token, data).audit(limit=limit, subject=subject))
        if as_json:
            print_json(entries)
            return
        rows = [("WHEN", "WHO", "WHAT", "OF")]
        rows += [
            (
                moment(entry["at"], seconds=True),
                one_line(entry["actor_name"]),
                one_line(entry["action"]),
                one_line(entry["subject"]),
            )
            for entry in entries
        ]
        print_table(rows)
