"""What the commands that measure a model have in common: their options, and the way from them to a job or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.connection import connect

if TYPE_CHECKING:
    from core.training.specs import AnalyseSpec, EvaluateSpec


class Part(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


MeasuredModel = Annotated[
    str, typer.Argument(help="An alias, a name or name@version; a folder with --local.")
]
OnDataset = Annotated[
    str, typer.Option(help="A dataset or dataset@version; a folder with --local.", show_default=False)
]
OnPart = Annotated[Part, typer.Option(help="Which part of its people.")]
Priority = Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")]
Out = Annotated[Path | None, typer.Option(help="With --local: where the report goes.", metavar="DIR")]
Device = Annotated[str, typer.Option(help="With --local: auto, cpu or cuda.")]


def name_of(given: str, *, local: bool) -> str:
    """What a spec says of a model or a dataset: with `--local` the name of its folder."""
    return Path(given).resolve().name if local else given


def measure(
    spec: EvaluateSpec | AnalyseSpec,
    *,
    dataset: str,
    folders: Mapping[str, str],
    local: bool,
    out: Path | None,
    device: str,
    priority: int,
    wait: bool,
    as_json: bool,
    url: str | None,
    token: str | None,
    data: Path | None,
) -> None:
    """Makes a job of it; with `--local` becomes the program that does it here.

    Args:
        folders: of the models, by field of the spec; with `local` only.

    Raises:
        InvalidRequest: options that do not go together.
    """
    from core.cli.programs import become_local, submit
    from core.errors import InvalidRequest

    if local:
        become_local(
            spec, dataset=Path(dataset), folders=dict(folders), out=out, device=device, as_json=as_json
        )
    if out is not None:
        raise InvalidRequest("--out goes with --local.")
    client = connect(url, token, data)
    ask = client.evaluate if spec.kind == "evaluate" else client.analyse
    submit(client, ask, {**spec.model_dump(mode="json"), "priority": priority}, wait=wait, as_json=as_json)
