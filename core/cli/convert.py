"""`voicesketch convert`: weights of other frameworks become model folders. Needs no service."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson
from core.cli.endings import told

app = typer.Typer(no_args_is_help=True, help="Make model folders of weights from other frameworks.")


class Variant(StrEnum):
    AUTO = "auto"
    SERENGIL = "serengil"
    RCMALLI = "rcmalli"


@app.callback()
def _group() -> None:
    """Without a callback, Typer would take the only command for the whole application."""


@app.command()
def vggface(
    file: Annotated[
        Path,
        typer.Argument(
            help="vgg_face_weights.h5 of deepface, or rcmalli_vggface_tf_vgg16.h5 of keras-vggface.",
            metavar="FILE.h5",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where the model goes: a new folder.", metavar="DIR", show_default=False)
    ],
    variant: Annotated[Variant, typer.Option(help="Which of the two it must be.")] = Variant.AUTO,
    name: Annotated[str, typer.Option(help="What the model is called.", show_default="vggface_VARIANT")] = "",
    original_recipe: Annotated[
        bool,
        typer.Option(
            "--original-recipe",
            help="Prepare pictures as Speech-to-face did, for its decoders; else as these weights want them.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """VGG-Face, from either of the two files in which Keras keeps it; TensorFlow is not needed."""
    with told():
        from core.cli.weights_program import make_model_folder

        arguments = ["--keras", "--as", "vggface" if variant is Variant.AUTO else f"vggface_{variant}"]
        arguments += ["--name", name] if name else []
        arguments += ["--original-recipe"] if original_recipe else []
        made = make_model_folder(file, arguments, out)
    if as_json:
        from core.cli.showing import print_json

        print_json(made)
        return
    typer.echo(f"{made['name']} ({made['kind']}, {made['parameters']:,} parameters) is in {out}.")
