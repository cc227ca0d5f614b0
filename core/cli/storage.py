"""`voicesketch storage`: how much is stored of each kind."""

from __future__ import annotations

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer()


@app.command()
def storage(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Show how much is stored of each kind."""
    with told():
        from core.cli.showing import moment, one_line, print_json, print_table, size

        found = connect(url, token, data).storage()
        if as_json:
            print_json(found)
        else:
            rows = [("KIND", "NUMBER", "SIZE")]
            rows += [
                (one_line(one["kind"]), f"{one['count']:,}", size(one["bytes"])) for one in found["data"]
            ]
            print_table(rows)
            typer.echo(f"As it was at {moment(found['at'])}; it is summed up every five minutes.")
