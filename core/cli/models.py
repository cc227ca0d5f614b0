"""`voicesketch models`: which models there are, what points at them, and how weights become one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

if TYPE_CHECKING:
    from core.client import Client
    from core.client_views import ModelView

app = typer.Typer(no_args_is_help=True, help="Look at models, move aliases, bring in weights, pair networks.")

Reference = Annotated[
    str,
    typer.Argument(
        help="NAME (its newest version), NAME@VERSION or an alias.", metavar="MODEL", show_default=False
    ),
]

Alias = Annotated[
    str, typer.Option(help="Which alias; made where there is none of that name.", metavar="ALIAS")
]
Reason = Annotated[
    str, typer.Option(help="Why, for whoever looks at it later.", metavar="TEXT", show_default=False)
]


class Kind(StrEnum):
    VE_CONV = "ve_conv"
    AST = "ast"
    FACE_DECODER = "face_decoder"
    VGGFACE_SERENGIL = "vggface_serengil"
    VGGFACE_RCMALLI = "vggface_rcmalli"


@app.command("list")
def list_models(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Every model version, newest first, with what points at it and how it fared."""
    with told():
        models = connect(url, token, data).models()
        from core.cli.model_showing import print_models
        from core.cli.showing import print_json

        print_json([model.raw for model in models]) if as_json else print_models(models)


@app.command()
def show(
    model: Reference, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """One model version: where it comes from, how it fared, and its files."""
    with told():
        client = connect(url, token, data)
        found = client.model(model)
        from core.cli.model_showing import print_model
        from core.cli.showing import print_json

        lineage, evaluations = client.lineage(found.label), client.model_evaluations(found.label)
        if as_json:
            print_json({**found.raw, "lineage": lineage, "evaluations": evaluations})
        else:
            print_model(found, lineage, evaluations)


@app.command()
def compare(
    model: Reference,
    other: Annotated[str, typer.Argument(help="The other one.", metavar="OTHER", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Two versions beside each other, wherever both were measured under the same conditions."""
    with told():
        found = connect(url, token, data).compare_models(model, other)
        from core.cli.model_showing import print_comparison
        from core.cli.showing import print_json

        print_json(found) if as_json else print_comparison(found)


@app.command()
def aliases(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """What every alias points at, and where rolling it back would lead."""
    with told():
        found = connect(url, token, data).aliases()
        from core.cli.showing import moment, one_line, print_json, print_table

        if as_json:
            print_json(found)
            return
        rows = [("ALIAS", "MODEL", "MOVED", "ROLLS BACK TO")]
        rows += [
            (
                one_line(one["alias"]),
                one_line(one["model"]),
                moment(one["moved_at"]),
                one_line(one["rolls_back_to"] or "-"),
            )
            for one in found
        ]
        print_table(rows)


@app.command()
def promote(
    model: Reference,
    alias: Alias = "production",
    reason: Reason = "",
    force: Annotated[
        bool, typer.Option("--force", help="Even where the alias would draw from another kind of input.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Point an alias at a model version."""
    with told():
        move = connect(url, token, data).promote(model, alias, reason=reason, force=force)
        _print_move(move, as_json)


@app.command()
def rollback(
    alias: Annotated[str, typer.Argument(help="Which alias.", metavar="ALIAS")] = "production",
    reason: Reason = "",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Point an alias where it pointed before; twice goes further back."""
    with told():
        _print_move(connect(url, token, data).roll_back(alias, reason=reason), as_json)


@app.command()
def history(
    alias: Annotated[str, typer.Argument(help="Which alias.", metavar="ALIAS")] = "production",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many moves.")] = 20,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Who moved an alias, when and why, newest first."""
    with told():
        from core.cli.model_showing import print_moves
        from core.cli.showing import print_json

        moves = list(connect(url, token, data).moves(alias, limit=limit))
        print_json(moves) if as_json else print_moves(alias, moves)


@app.command()
def delete(
    model: Annotated[
        str, typer.Argument(help="Exactly one version.", metavar="NAME@VERSION", show_default=False)
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing, and tell what would happen.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Delete a model version that nobody uses. With --dry-run it ends with 1 where the version would stay."""
    with told():
        from core.cli.endings import Ending, end
        from core.cli.model_showing import print_deletion
        from core.cli.showing import print_json

        found = connect(url, token, data).delete_model(model, reason=reason, dry_run=dry_run)
        print_json(found) if as_json else print_deletion(found)
        if found["in_use"]:
            end(Ending.SOME_FAILED)


@app.command()
def export(
    model: Reference,
    out: Annotated[Path, typer.Option(help="A new folder.", metavar="DIR", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Write a model version as a folder, which `voicesketch draw --model` takes."""
    with told():
        client = connect(url, token, data)
        from core.cli.model_folders import fetch_folder
        from core.progress import make_progress

        with make_progress() as progress:
            found = fetch_folder(
                client, model, out, lambda done, total: progress.step("downloading", done, total)
            )
        if as_json:
            from core.cli.showing import print_json

            print_json({"model": found.label, "sha256": found.raw.get("sha256"), "out": str(out)})
        else:
            typer.echo(f"{found.label} is in {out}.")


@app.command("import-folder")
def import_folder(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A network, a pair or a whole model, as export writes it.", metavar="DIR", show_default=False
        ),
    ],
    name: Annotated[str, typer.Option(help="What the model is called.", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Bring in a folder of a model of ours. The same files make the same version."""
    with told():
        from core.cli.model_folders import check_name, largest_file

        check_name(name)
        client = connect(url, token, data)
        _print_made(_send(client, folder, name, largest_file(client)), as_json)


@app.command()
def pair(
    name: Annotated[str, typer.Option(help="What the pair is called.", show_default=False)],
    encoder: Annotated[
        str, typer.Option(help="Makes embeddings of voices or faces.", metavar="MODEL", show_default=False)
    ],
    decoder: Annotated[
        str, typer.Option(help="Makes pictures of embeddings.", metavar="MODEL", show_default=False)
    ],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Put an encoder and a decoder in a row, as one model that draws."""
    with told():
        made = connect(url, token, data).pair_models(name, encoder=encoder, decoder=decoder)
        _print_made(made, as_json)


@app.command("import")
def import_weights(
    source: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint, a Keras .h5 file, a Hugging Face folder, or a model folder of ours.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    kind: Annotated[
        Kind | None,
        typer.Option("--as", help="What it is; left out for a model folder of ours.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option(help="What the model is called.", show_default="the kind")] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Only make a model folder here; no service is needed.", metavar="DIR"),
    ] = None,
    new_head: Annotated[
        bool, typer.Option("--new-head", help="Put an untrained head on an AST that has another.")
    ] = False,
    original_recipe: Annotated[
        bool,
        typer.Option(
            "--original-recipe",
            help="Prepare pictures for VGG-Face as Speech-to-face did, for its decoders.",
        ),
    ] = False,
    space: Annotated[
        str,
        typer.Option(
            help="What the embeddings mean, where Speech-to-face's default teacher was not used.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Bring in a network from somebody else's weights. Nothing in the file is run."""
    with told():
        from core.cli.model_folders import check_name, largest_file
        from core.errors import InvalidRequest

        arguments = ["--name", name] if name else []
        arguments += ["--new-head"] if new_head else []
        arguments += ["--original-recipe"] if original_recipe else []
        arguments += ["--space", space] if space else []
        if kind is None and (out or not (source / "config.json").is_file()):
            raise InvalidRequest(f"Say what it is with --as: one of {', '.join(Kind)}.")
        name = name or kind or source.resolve().name
        check_name(name)
        if out is not None:
            made = _make(source, kind, arguments, out)
            if as_json:
                from core.cli.showing import print_json

                print_json(made)
            else:
                typer.echo(f"{name} is in {out}.")
            return
        # Asked first: who waits for a large file to be read should not hear only then that nothing answers.
        client = connect(url, token, data)
        largest = largest_file(client)
        if kind is None:
            _print_made(_send(client, source, name, largest), as_json)
            return
        with tempfile.TemporaryDirectory(prefix="voicesketch-import-") as temporary:
            folder = Path(temporary) / "model"
            _make(source, kind, arguments, folder)
            _print_made(_send(client, folder, name, largest), as_json)


def _print_move(move: Mapping[str, Any], as_json: bool) -> None:
    from core.cli.model_showing import print_move
    from core.cli.showing import print_json

    print_json(move) if as_json else print_move(move)


def _print_made(made: ModelView, as_json: bool) -> None:
    from core.cli.showing import print_json

    print_json(dict(made.raw)) if as_json else typer.echo(made.label)


def _make(source: Path, kind: Kind | None, arguments: list[str], folder: Path) -> dict[str, Any]:
    from core.cli.weights_program import make_model_folder

    assert kind is not None
    return make_model_folder(source, ["--as", kind.value, *arguments], folder)


def _send(client: Client, folder: Path, name: str, largest: int) -> ModelView:
    from core.cli.model_folders import send_folder
    from core.progress import make_progress

    with make_progress() as progress:
        return send_folder(
            client, folder, name, largest, lambda done, total: progress.step("sending", done, total)
        )
