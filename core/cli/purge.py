"""`voicesketch purge`: removes what is kept no longer, without waiting for the hourly round."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer()


@app.command()
def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, and change nothing.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Remove what the rules of retention let go."""
    with told():
        from core.cli.showing import print_json, print_table, size

        client = connect(url, token, data)
        if dry_run:
            going = client.preview_purge()
            if as_json:
                print_json(going)
                return
            rows = [("KIND", "NUMBER", "SIZE", "KEPT FOR OTHERS", "JOBS")]
            rows += [
                (
                    one["kind"],
                    f"{'' if one['finished'] else 'at least '}{one['count']:,}",
                    size(one["bytes"]),
                    f"{one['shared']:,}",
                    f"{one['job_count']:,}",
                )
                for one in going
            ]
            print_table(rows)
            return
        gone = more = client.purge()
        while not more["finished"] and more["counts"]:
            more = client.purge()
            for part in ("counts", "bytes"):
                for kind, number in more[part].items():
                    gone[part][kind] = gone[part].get(kind, 0) + number
            gone["finished"] = more["finished"]
        if as_json:
            print_json(gone)
        elif not gone["counts"]:
            typer.echo("Nothing is due." if gone["finished"] else "Nothing was found so far.")
        for kind, count in () if as_json else gone["counts"].items():
            typer.echo(f"Removed {count:,} {kind} ({size(gone['bytes'].get(kind, 0))}).")
        if not as_json and not gone["finished"]:
            typer.echo("The service looks for the rest by itself, in its hourly round.")
