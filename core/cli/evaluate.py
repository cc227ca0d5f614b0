"""`voicesketch evaluate`: how a model does on a part of a dataset, through the queue or on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer()


class Part(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="An alias, a name or name@version; a folder with --local.")],
    dataset: Annotated[
        str, typer.Option(help="A dataset or dataset@version; a folder with --local.", show_default=False)
    ],
    split: Annotated[Part, typer.Option(help="Which part of its people.")] = Part.TEST,
    partner: Annotated[
        str | None,
        typer.Option(help="The face encoder that a voice encoder was trained with.", metavar="MODEL"),
    ] = None,
    most_people: Annotated[int | None, typer.Option(min=2, help="Only the first so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and of faces.")] = 0,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Measure here, with no server at all.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --local: where the report goes.", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="With --local: auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Measure a model on a prepared dataset, with published numbers beside its own."""
    with told():
        from core.cli.programs import become_local, submit
        from core.errors import InvalidRequest
        from core.program_options import checked
        from core.training_specs import EvaluateSpec

        named = {"model": model, "partner": partner}
        folders = {field: given for field, given in named.items() if given and local}
        spec = checked(
            EvaluateSpec,
            {
                **{
                    field: Path(given).resolve().name if given and local else given
                    for field, given in named.items()
                },
                "dataset": Path(dataset).resolve().name if local else dataset,
                "split": split.value,
                "most_people": most_people,
                "seed": seed,
            },
        )
        if local:
            become_local(
                spec, dataset=Path(dataset), folders=folders, out=out, device=device, as_json=as_json
            )
        if out is not None:
            raise InvalidRequest("--out goes with --local.")
        client = connect(url, token, data)
        wanted = {**spec.model_dump(mode="json"), "priority": priority}
        submit(client, client.evaluate, wanted, wait=wait, as_json=as_json)
