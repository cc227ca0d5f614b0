"""`voicesketch restore`: a backup into a place where there is nothing yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson
from core.cli.endings import told
from core.cli.up import Folder

app = typer.Typer()


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `voicesketch backup` wrote.", metavar="FILE")],
    check: Annotated[
        bool, typer.Option("--check", help="Only read it, and say whether all of it is there.")
    ] = False,
    data: Folder = Path("voicesketch-data"),
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into a new data folder, or into an empty database and bucket."""
    with told():
        from core.backups.contents import Contents
        from core.backups.restore import differing_settings, verify
        from core.backups.restore import restore as bring_back
        from core.cli.showing import moment, one_line, print_json
        from core.progress import make_progress
        from core.stack.keeping import names_a_ledger, settings_of_place

        differing: dict[str, str] = {}
        with Contents() as contents, make_progress() as progress:
            backup = verify(file, contents, progress)  # before a folder is made for it
            if not check:
                with settings_of_place(data, os.environ, new=True) as settings:
                    bring_back(settings, file, backup, contents, progress)
                    differing = differing_settings(settings, backup)
        if as_json:
            print_json(
                {
                    "made_at": backup.head["made_at"],
                    "objects": backup.end["objects"],
                    "rows": backup.rows,
                    "lost": backup.end["lost"],
                    "restored": not check,
                    "settings": differing,
                }
            )
            return
        typer.echo(
            f"{'Whole' if check else 'Restored'}: the backup of {moment(backup.head['made_at'])}, "
            f"{backup.end['objects']:,} objects and {backup.rows:,} rows."
        )
        for name, value in differing.items():
            typer.echo(one_line(f"It was set otherwise there: {name}={value}"))
        if not check and not names_a_ledger(os.environ):
            typer.echo(f"Start it: voicesketch up --data {data}")
