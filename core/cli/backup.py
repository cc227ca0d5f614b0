"""`voicesketch backup`: everything of a place in one file, while it works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson
from core.cli.endings import Ending, end, told
from core.cli.up import Folder

app = typer.Typer()


@app.command()
def backup(
    out: Annotated[
        Path,
        typer.Option("--out", help="File to write, or a folder to write one into.", metavar="FILE|DIR"),
    ],
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also what signs notes to other programs.")
    ] = False,
    data: Folder = Path("voicesketch-data"),
    as_json: AsJson = False,
) -> None:
    """Write everything of a place into one file, while it works."""
    with told():
        from core.backups.backup import back_up
        from core.backups.format import new_file
        from core.cli.showing import one_line, print_json, size
        from core.ledger.database import Database
        from core.progress import make_progress
        from core.stack.keeping import settings_of_place
        from core.store import Store

        with settings_of_place(data, os.environ) as settings:
            database = Database(settings.database_url)
            try:
                with new_file(out) as (path, file), make_progress() as progress:
                    made = back_up(
                        settings, database, Store(settings), file, progress, with_secrets=with_secrets
                    )
            finally:
                database.dispose()
        if as_json:
            print_json({"file": str(path), **vars(made)})
        else:
            typer.echo(
                f"{path}: {made.objects:,} objects and {made.rows:,} rows, {size(made.bytes)}. "
                "It holds people's voices and faces: keep it as safe as the place itself."
            )
            if made.secrets_left_out:
                typer.echo(
                    f"Left out: the secrets of {made.secrets_left_out:,} notes to other programs; "
                    "--with-secrets takes them in."
                )
            for key in made.lost[:10]:
                typer.echo(f"Not in the store any more: {one_line(key)}", err=True)
    if made.lost:
        end(Ending.SOME_FAILED, f"{len(made.lost):,} objects are lost; all others are in the backup.")
