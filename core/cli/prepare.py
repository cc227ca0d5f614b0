"""`voicesketch prepare`: a folder of people in, a dataset version out, through the queue or on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.becoming import become
from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import Ending, end, told
from core.slips import slip_words

if TYPE_CHECKING:
    from core.client_views import JobView
    from core.datasets.layouts import LayoutOptions
    from core.datasets.plan import Plan
    from core.datasets.recipes import Recipe

app = typer.Typer()

NONE = "none"
_TOLD = 3


class Crop(StrEnum):
    NONE = "none"
    FACE = "face"
    ALIGNED = "aligned"


class Several(StrEnum):
    REJECT = "reject"
    LARGEST = "largest"


class Faces(StrEnum):
    MASKED = "masked"
    ORIGIN = "origin"


@app.command()
def prepare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Folders, or a manifest (.csv, .tsv, .jsonl).", metavar="PATH...", show_default=False
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="What the dataset is called.", show_default="the folder's name")
    ] = None,
    layout: Annotated[str, typer.Option(help="How the files lie; `auto` looks at them.")] = "auto",
    voice: Annotated[
        str, typer.Option(help="Of voices: ve_conv, ast, waveform, several with commas, or none.")
    ] = "ve_conv",
    face: Annotated[
        str, typer.Option(help="Of faces: picture, landmarks, embedding, several with commas, or none.")
    ] = "picture",
    crop: Annotated[
        Crop, typer.Option(help="The whole picture, a square round the face, or the same with level eyes.")
    ] = Crop.NONE,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of kept pictures, in pixels.")] = 224,
    several: Annotated[
        Several, typer.Option(help="What becomes of a picture with several faces.")
    ] = Several.REJECT,
    face_encoder: Annotated[
        str | None, typer.Option(help="Makes embeddings; a folder with --local.", metavar="MODEL")
    ] = None,
    split: Annotated[str, typer.Option(help="Shares of train, validation and test.")] = "0.8/0.1/0.1",
    by: Annotated[
        str,
        typer.Option(help="Attributes whose mix each part shares, such as gender,age.", show_default=False),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the split.")] = 42,
    ignore_split: Annotated[
        bool, typer.Option("--ignore-split", help="Divide people anew, whatever the source says.")
    ] = False,
    max_clips: Annotated[
        int | None, typer.Option(min=1, help="Recordings of a person, at most; the first by name.")
    ] = None,
    waveform_seconds: Annotated[float, typer.Option(help="Length of kept waveforms, at most.")] = 6.0,
    one_sided: Annotated[
        bool, typer.Option("--one-sided", help="Also take people with only a voice or only a face.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Of a manifest: which column holds voice, face, identity, split, path or side.",
            metavar="WHAT=NAME",
            show_default=False,
        ),
    ] = None,
    faces: Annotated[Faces, typer.Option(help="Which pictures of HQ-VoxCeleb.")] = Faces.MASKED,
    shard_entries: Annotated[int, typer.Option(min=1, max=4096, help="Inputs in one shard.")] = 64,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Higher ones are claimed first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be prepared; nothing is sent.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Prepare here, with no server at all.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the dataset goes, with --local.", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="With --local: auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Prepare a dataset of voices and faces, split by people."""
    with told():
        from core.datasets.layouts import LayoutOptions
        from core.errors import InvalidRequest

        recipe = _recipe(
            {
                "voice": _side(voice, "features", max_clips=max_clips, waveform_seconds=waveform_seconds),
                "face": _side(
                    face,
                    "outputs",
                    crop=crop.value,
                    size=size,
                    several=several.value,
                    encoder=_known_as(face_encoder, local),
                ),
                "split": {**_shares(split), "by": _words(by), "seed": seed, "keep": not ignore_split},
                "both_sides": not one_sided,
                "shard_entries": shard_entries,
            }
        )
        options = LayoutOptions(columns=_columns(column or []), faces=faces.value)
        if local and not dry_run:
            if out is None:
                raise InvalidRequest("With --local, say where the dataset goes: --out DIR.")
            extra = ["--device", device, *(["--face-encoder", face_encoder] if face_encoder else [])]
            _become_local(paths, out, recipe, layout, options, [*extra, *(["--json"] if as_json else [])])
        if out is not None and not local:
            raise InvalidRequest(
                "--out goes with --local; fetch what a service made: voicesketch datasets download"
            )
        from core.datasets.sending import plan_paths, send_dataset

        if dry_run:
            _show_plan(plan_paths(paths, recipe, layout, options).plan, as_json=as_json)
            return
        client = connect(url, token, data)
        list(
            client.datasets(limit=1)
        )  # asked first: nobody should hear only after planning that nothing answers
        from core.progress import make_progress

        planned = plan_paths(paths, recipe, layout, options)
        with make_progress() as progress:
            _note_plan(planned.plan, progress.note)
            job = send_dataset(
                client,
                planned,
                name=name or _name_for(paths),
                options=options,
                priority=priority,
                progress=progress,
            )
            if wait:
                from core.submitting.submission import wait as wait_for

                job = wait_for(client, job.id, progress=progress)
        _show_job(job, as_json=as_json, waited=wait)


def _recipe(values: dict[str, Any]) -> Recipe:
    from pydantic import ValidationError

    from core.datasets.recipes import Recipe
    from core.errors import InvalidRequest

    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        slips = [
            f"{'.'.join(map(str, slip['loc']))}: {slip_words(slip)}".lstrip(": ") for slip in error.errors()
        ]
        raise InvalidRequest(f"The recipe cannot be used: {'; '.join(slips[:_TOLD])}.") from error


def _side(words: str, key: str, **others: object) -> dict[str, object] | None:
    given = _words(words)
    return None if given in ([], [NONE]) else {key: given, **others}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _shares(text: str) -> dict[str, float]:
    from core.errors import InvalidRequest

    try:
        train, validation, test = (float(share) for share in text.split("/"))
    except ValueError:
        raise InvalidRequest(f"--split takes three shares such as 0.8/0.1/0.1, not {text!r}.") from None
    whole = 100 if train + validation + test > 1.5 else 1  # percent are meant where they add up to a hundred
    return {"train": train / whole, "validation": validation / whole, "test": test / whole}


def _columns(given: list[str]) -> dict[str, str]:
    from core.errors import InvalidRequest

    pairs = [one.partition("=") for one in given]
    for what, sign, column in pairs:
        if not (what and sign and column):
            raise InvalidRequest(
                f"--column takes WHAT=NAME, as in face=portrait, not {what + sign + column!r}."
            )
    return {what: column for what, _, column in pairs}


def _name_for(paths: list[Path]) -> str:
    import re

    first = paths[0].resolve()
    known = first.parent.name if first.is_file() else first.name
    return re.sub(r"^[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9._-]+", "-", known))[:80] or "dataset"


def _known_as(encoder: str | None, local: bool) -> str | None:
    """The encoder in the recipe. With --local it is a folder, whose path is nobody's business."""
    return Path(encoder).resolve().name if encoder and local else encoder


def _become_local(
    paths: list[Path], out: Path, recipe: Recipe, layout: str, options: LayoutOptions, extra: list[str]
) -> None:
    """Hands over to `python -m worker.prepare`, which knows the networks that `core` must not import."""
    from core.errors import InvalidRequest

    if len(paths) != 1:
        raise InvalidRequest("With --local, give one folder or one manifest.")
    arguments = [str(paths[0]), "--out", str(out), "--recipe-json", recipe.model_dump_json()]
    arguments += ["--layout", layout, "--faces", options.faces, *extra]
    for what, column in options.columns.items():
        arguments += ["--column", f"{what}={column}"]
    become("worker.prepare", arguments)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    from core.cli.showing import print_json, print_plan
    from core.datasets.counts import count_plan

    counted = count_plan(plan)
    print_json(counted) if as_json else print_plan(counted)


def _note_plan(plan: Plan, note: Any) -> None:
    reasons: dict[str, int] = {}
    for one in plan.left_out:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    told_reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    more = f" Left out: {told_reasons}." if reasons else ""
    note(f"Layout {plan.layout}: {len(plan.entries):,} inputs of {len(plan.people):,} people.{more}")


def _show_job(job: JobView, *, as_json: bool, waited: bool) -> None:
    from core.cli.showing import print_job, print_json

    if as_json:
        print_json(dict(job.raw))
    elif waited:
        print_job(job)
    else:
        typer.echo(f"{job.dataset} is being prepared. Watch it: voicesketch jobs watch {job.id}")
    if waited and job.with_face != job.total:
        end(Ending.SOME_FAILED)
