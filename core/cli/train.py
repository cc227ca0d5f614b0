"""`voicesketch train`: a preset and a dataset in, a registered model out, through the queue or on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told

if TYPE_CHECKING:
    pass

app = typer.Typer()


@app.command()
def train(
    preset: Annotated[
        str | None,
        typer.Argument(help="Recipe to start from; see --list.", metavar="PRESET", show_default=False),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="A dataset or dataset@version; a folder with --local.", metavar="DATASET", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called.", metavar="NAME", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="One value of the recipe, such as loop.batch=8, or machine.processes=2.",
            metavar="KEY=VALUE",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON file with any of the settings.", metavar="FILE", show_default=False),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            help="A version of the same networks to start from.", metavar="MODEL", show_default=False
        ),
    ] = None,
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Move the gate's alias to the new version if it passes the gate."),
    ] = False,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check, and print everything that would be used.")
    ] = False,
    list_presets: Annotated[bool, typer.Option("--list", help="Only list the presets.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Train here, with no server at all.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="With --local: the run's folder; a run in it goes on.", metavar="DIR", show_default=False
        ),
    ] = None,
    model_folder: Annotated[
        list[str] | None,
        typer.Option(
            help="With --local: where a model lies, such as face_encoder=DIR.",
            metavar="FIELD=DIR",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="With --local: auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Train a model on a prepared dataset; it is registered, measured and held against production."""
    with told():
        from core.cli.programs import become_local, pairs, submit
        from core.cli.showing import print_json
        from core.errors import InvalidRequest
        from core.training.options import checked, train_values
        from core.training.specs import TrainSpec

        if list_presets:
            _list(as_json=as_json)
            return
        given: dict[str, Any] = {
            "model": name,
            "dataset": Path(dataset).resolve().name if dataset and local else dataset,
            "parent": parent,
        }
        values = train_values(
            preset, config, [*(set_ or []), *(["after.promote=true"] if promote else [])], given
        )
        missing = [
            option for option, field in (("--dataset", "dataset"), ("--name", "model")) if field not in values
        ]
        if missing:
            raise InvalidRequest(f"Say which: {' and '.join(missing)}.")
        spec = checked(TrainSpec, values)
        if local:
            if dry_run:
                print_json(spec.model_dump(mode="json"))
                return
            folders = pairs(model_folder, "--model-folder", "FIELD=DIR, as in face_encoder=models/vgg")
            become_local(
                spec,
                dataset=Path(dataset or values["dataset"]),
                folders=folders,
                out=out,
                device=device,
                as_json=as_json,
            )
        if out is not None or model_folder:
            raise InvalidRequest("--out and --model-folder go with --local.")
        client = connect(url, token, data)
        if dry_run:
            _check(client.check_training(spec.model_dump(mode="json")))
            return
        wanted = {**spec.model_dump(mode="json"), "priority": priority}
        submit(client, client.train, wanted, wait=wait, as_json=as_json)


def _check(answer: dict[str, Any]) -> None:
    from core.cli.showing import print_json

    if answer["ok"]:
        print_json(answer["spec"])
        return
    for problem in answer["problems"]:
        typer.echo(f"{problem['field']}: {problem['message']}", err=True)
    end(Ending.WRONG_USAGE)


def _list(*, as_json: bool) -> None:
    from core.cli.showing import print_json
    from core.training.presets import PRESETS

    if as_json:
        print_json(
            [
                {
                    "name": preset.name,
                    "title": preset.title,
                    "sentence": preset.sentence,
                    "recipe": preset.recipe.model_dump(mode="json"),
                    "machine": preset.machine.model_dump(mode="json"),
                }
                for preset in PRESETS.values()
            ]
        )
        return
    width = max(map(len, PRESETS))
    for preset in PRESETS.values():
        typer.echo(f"{preset.name.ljust(width)}  {preset.sentence}")
