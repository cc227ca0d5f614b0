"""`voicesketch queues`: how much waits in each queue, and for how long."""

from __future__ import annotations

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer()


@app.command()
def queues(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Show what waits in each queue, and who serves it."""
    with told():
        from core.cli.showing import one_line, print_json, print_table
        from core.progress import duration

        found = connect(url, token, data).queues()
        if as_json:
            print_json(found)
        elif not found:
            typer.echo("Nothing waits.")
        else:
            rows = [("QUEUE", "WAITING", "JOBS", "HELD", "OLDEST", "EMPTY IN", "WORKERS")]
            for one in found:
                oldest, left = one["oldest_wait_seconds"], one["seconds_to_empty"]
                rows.append(
                    (
                        one_line(one["name"]),
                        f"{one['items']:,}",
                        f"{one['jobs']:,}",
                        f"{one['leased']:,}",
                        "-" if oldest is None else duration(oldest),
                        "not known" if left is None else duration(left),
                        str(one["workers"]),
                    )
                )
            print_table(rows)
