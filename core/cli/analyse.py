"""`voicesketch analyse`: what a model makes of the voice and what of the noise, as pictures and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told
from core.cli.evaluate import Part

app = typer.Typer()


@app.command()
def analyse(
    model: Annotated[str, typer.Argument(help="An alias, a name or name@version; a folder with --local.")],
    dataset: Annotated[
        str, typer.Option(help="A dataset or dataset@version; a folder with --local.", show_default=False)
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="One of them: same_noise, same_voice, voice_path, noise_path, sensitivity, correlation.",
            metavar="ANALYSIS",
            show_default="all",
        ),
    ] = None,
    split: Annotated[Part, typer.Option(help="Which part of its people.")] = Part.TEST,
    voices: Annotated[int, typer.Option(min=2, max=200, help="How many voices.")] = 8,
    noises: Annotated[int, typer.Option(min=2, max=64, help="How many draws of each.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Analyse here, with no server at all.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="With --local: where the report goes.", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="With --local: auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Show what a model makes of the voice, and what of the noise."""
    with told():
        from core.cli.programs import become_local, submit
        from core.errors import InvalidRequest
        from core.program_options import checked
        from core.training_specs import ANALYSES, AnalyseSpec

        spec = checked(
            AnalyseSpec,
            {
                "model": Path(model).resolve().name if local else model,
                "dataset": Path(dataset).resolve().name if local else dataset,
                "analyses": only or ANALYSES,
                "split": split.value,
                "voices": voices,
                "noises": noises,
                "seed": seed,
            },
        )
        if local:
            become_local(
                spec, dataset=Path(dataset), folders={"model": model}, out=out, device=device, as_json=as_json
            )
        if out is not None:
            raise InvalidRequest("--out goes with --local.")
        client = connect(url, token, data)
        wanted = {**spec.model_dump(mode="json"), "priority": priority}
        submit(client, client.analyse, wanted, wait=wait, as_json=as_json)
