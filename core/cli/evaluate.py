"""`voicesketch evaluate`: how a model does on a part of a dataset, through the queue or on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url
from core.cli.endings import told
from core.cli.measuring import (
    Device,
    MeasuredModel,
    OnDataset,
    OnPart,
    Out,
    Part,
    Priority,
    Wait,
    measure,
    name_of,
)

app = typer.Typer()


@app.command()
def evaluate(
    model: MeasuredModel,
    dataset: OnDataset,
    split: OnPart = Part.TEST,
    partner: Annotated[
        str | None,
        typer.Option(help="The face encoder that a voice encoder was trained with.", metavar="MODEL"),
    ] = None,
    most_people: Annotated[int | None, typer.Option(min=2, help="Only the first so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of draws and of faces.")] = 0,
    priority: Priority = 0,
    wait: Wait = False,
    local: Annotated[bool, typer.Option("--local", help="Measure here, with no server at all.")] = False,
    out: Out = None,
    device: Device = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Measure a model on a prepared dataset, with published numbers beside its own."""
    with told():
        from core.training.options import checked
        from core.training.specs import EvaluateSpec

        models = {field: given for field, given in (("model", model), ("partner", partner)) if given}
        spec = checked(
            EvaluateSpec,
            {
                **{field: name_of(given, local=local) for field, given in models.items()},
                "dataset": name_of(dataset, local=local),
                "split": split.value,
                "most_people": most_people,
                "seed": seed,
            },
        )
        measure(
            spec,
            dataset=dataset,
            folders=models,
            local=local,
            out=out,
            device=device,
            priority=priority,
            wait=wait,
            as_json=as_json,
            url=url,
            token=token,
            data=data,
        )
