"""`voicesketch datasets`: which versions there are, what is in one, and a copy of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer(no_args_is_help=True, help="Look at prepared datasets, and fetch them.")

Label = Annotated[
    str,
    typer.Argument(help="NAME (its newest version) or NAME@VERSION.", metavar="DATASET", show_default=False),
]


@app.command("list")
def list_datasets(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """The newest dataset versions."""
    with told():
        datasets = list(connect(url, token, data).datasets(limit=limit))
        from core.cli.showing import print_datasets, print_json

        print_json([dict(dataset.raw) for dataset in datasets]) if as_json else print_datasets(datasets)


@app.command()
def show(
    dataset: Label, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """One dataset version: people, parts, what was left out, files."""
    with told():
        found = connect(url, token, data).dataset(dataset)
        from core.cli.showing import print_dataset, print_json

        print_json(dict(found.raw)) if as_json else print_dataset(found)


@app.command()
def download(
    dataset: Label,
    out: Annotated[Path, typer.Option(help="Folder for it.", metavar="DIR", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Fetch a dataset version, every file checked; run again, it fetches what is missing."""
    with told():
        from core.cli.showing import print_json
        from core.datasets.downloads import download_dataset
        from core.progress import make_progress

        client = connect(url, token, data)
        with make_progress() as progress:
            found, fetched = download_dataset(
                client, dataset, out, lambda done, total: progress.step("downloading", done, total)
            )
        if as_json:
            print_json({"dataset": found.label, "sha256": found.sha256, "out": str(out), "fetched": fetched})
        else:
            typer.echo(f"{found.label} is in {out} ({fetched} of {len(found.files)} files fetched now).")
