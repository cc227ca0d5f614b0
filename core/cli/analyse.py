"""`voicesketch analyse`: what a model makes of the voice and what of the noise, as pictures and numbers."""

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
def analyse(
    model: MeasuredModel,
    dataset: OnDataset,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="One of them: same_noise, same_voice, voice_path, noise_path, sensitivity, correlation.",
            metavar="ANALYSIS",
            show_default="all",
        ),
    ] = None,
    split: OnPart = Part.TEST,
    voices: Annotated[int, typer.Option(min=2, max=200, help="How many voices.")] = 8,
    noises: Annotated[int, typer.Option(min=2, max=64, help="How many draws of each.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    priority: Priority = 0,
    wait: Wait = False,
    local: Annotated[bool, typer.Option("--local", help="Analyse here, with no server at all.")] = False,
    out: Out = None,
    device: Device = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show what a model makes of the voice, and what of the noise."""
    with told():
        from core.training.options import checked
        from core.training.specs import ANALYSES, AnalyseSpec

        spec = checked(
            AnalyseSpec,
            {
                "model": name_of(model, local=local),
                "dataset": name_of(dataset, local=local),
                "analyses": only or ANALYSES,
                "split": split.value,
                "voices": voices,
                "noises": noises,
                "seed": seed,
            },
        )
        measure(
            spec,
            dataset=dataset,
            folders={"model": model},
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
