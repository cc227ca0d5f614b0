"""`voicesketch collections`: sets of recordings and pictures that grow, for schedules to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

app = typer.Typer(no_args_is_help=True, help="Sets of recordings and pictures that grow.")

Name = Annotated[str, typer.Argument(help="The collection.", metavar="NAME", show_default=False)]

_FILES_AT_ONCE = 20_000


@app.command("list")
def list_collections(
    as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """The collections you may see."""
    with told():
        found = connect(url, token, data).collections()
        from core.cli.showing import one_line, print_json

        if as_json:
            print_json([dict(one.raw) for one in found])
            return
        for one in found:
            typer.echo(f"{one_line(one.name)}  {one.files:,} files")
        if not found:
            typer.echo("There is no collection yet. Begin one: voicesketch collections add NAME FOLDER")


@app.command()
def show(
    name: Name,
    layout: Annotated[str, typer.Option(help="How the files lie, for counting people.")] = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """One collection: files, people with both a voice and a face, and what came last."""
    with told():
        one = connect(url, token, data).collection(name, layout=layout)
        from core.cli.showing import moment, one_line, print_json

        if as_json:
            print_json(dict(one.raw))
            return
        pairs = f"{one.pairs:,} pairs" if one.pairs is not None else one_line(one.problem or "")
        typer.echo(f"{one_line(one.name)}  {one.files:,} files, {pairs}, begun {moment(one.created_at)}")
        for path in one.newest:
            typer.echo(f"  {one_line(path)}")


@app.command()
def add(
    name: Name,
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Folders, or a manifest with the files beside it.", metavar="PATH...", show_default=False
        ),
    ],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Add folders of people. What is there already is left alone, so the same folder may be added again."""
    with told():
        from core.datasets.collection_sending import send_to_collection
        from core.progress import make_progress

        client = connect(url, token, data)
        client.collections()  # asked first: nobody should hear only after reading a folder that nothing answers
        with make_progress() as progress:
            sent = send_to_collection(client, name, paths, progress, at_once=_FILES_AT_ONCE)
        from core.cli.showing import one_line, print_json

        if as_json:
            print_json(
                {
                    "collection": name,
                    "new": sent.new,
                    "known": sent.known,
                    "left_out": [{"path": path, "message": message} for path, message in sent.left_out],
                }
            )
        else:
            typer.echo(f"{sent.new:,} files are new in {name}, {sent.known:,} were there.")
            for path, message in sent.left_out:
                typer.echo(one_line(f"  left out: {path}: {message}"), err=True)
    if sent.left_out:
        end(Ending.SOME_FAILED)
