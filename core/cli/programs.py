"""What `train`, `evaluate` and `analyse` have in common: submitting, waiting, and running without a service."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from core.cli.becoming import become
from core.cli.endings import Ending, end

if TYPE_CHECKING:
    from core.client import Client
    from core.client_views import JobView
    from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec


def submit(
    client: Client,
    ask: Callable[..., JobView],
    wanted: Mapping[str, Any],
    *,
    wait: bool,
    as_json: bool,
) -> None:
    """Makes the job, and waits for its end where that is wanted."""
    from core.cli.showing import print_json

    job = ask(wanted, idempotency_key=uuid.uuid4().hex)
    if wait:
        watch(client, job.id, as_json=as_json)
    elif as_json:
        print_json(dict(job.raw))
    else:
        typer.echo(f"Submitted as {job.id}. Watch it: voicesketch jobs watch {job.id}")


def watch(client: Client, job_id: str, *, as_json: bool) -> None:
    """Follows the job of a program to its end and says how it went."""
    from core.training.watching import ProgramLine, watch_program

    with ProgramLine() as line:
        try:
            job = watch_program(client, job_id, line)
        except KeyboardInterrupt:
            line.note(
                f"The job goes on without you. Watch it: voicesketch jobs watch {job_id}\n"
                f"Stop it with a checkpoint: voicesketch jobs cancel {job_id}"
            )
            raise
    show(client, job, as_json=as_json)
    if job.with_face != job.total:
        end(Ending.SOME_FAILED)


def show(client: Client, job: JobView, *, as_json: bool) -> None:
    """One job of a program, with where it stands and what it ended with."""
    from core.cli.showing import moment, one_line, print_errors, print_json
    from core.training.watching import describe_progress

    told = client.training(job.id)
    if as_json:
        print_json({**job.raw, "training": told})
        return
    typer.echo(f"{job.id}  {one_line(job.name)}")
    where = "" if job.is_final else describe_progress(told.get("progress") or {})
    typer.echo(one_line(f"  {job.state.value}{': ' + where if where else ''}"))
    typer.echo(one_line(f"  {job.kind} {job.model} on {job.dataset}, created {moment(job.created_at)}"))
    result = told.get("result") or {}
    for label in told.get("models") or ():
        typer.echo(one_line(f"  registered {label}"))
    for name, metric in (result.get("metrics") or {}).items():
        typer.echo(one_line(f"  {name}: {_measured(metric)}"))
    if result.get("gate"):
        typer.echo(
            one_line(
                f"  gate {'passed' if result['gate']['passed'] else 'shut'}: {result['gate']['sentence']}"
            )
        )
    if result.get("promoted"):
        typer.echo("  promoted")
    for note in result.get("notes") or ():
        typer.echo(one_line(f"  {note}"))
    print_errors(job)


def become_local(
    spec: TrainSpec | EvaluateSpec | AnalyseSpec,
    *,
    dataset: Path,
    folders: Mapping[str, str],
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Hands over to `python -m worker.run_local`, which may start what `core` must not import.

    Args:
        folders: of models, by the field of the spec that names them; a reference that is a folder needs none.
    """
    from core.errors import InvalidRequest
    from core.training.requests import model_references

    if out is None:
        raise InvalidRequest("With --local, say where everything goes: --out DIR.")
    if spec.kind == "train" and spec.machine.hosts > 1:
        raise InvalidRequest("With --local there is one host. Leave machine.hosts at 1, or take the queue.")
    if not (dataset / "dataset.json").is_file():
        raise InvalidRequest(
            f"{dataset} holds no prepared dataset. Make one: voicesketch prepare FOLDER --local --out DIR"
        )
    references = model_references(spec)
    if unknown := sorted(folders.keys() - references.keys()):
        raise InvalidRequest(
            f"--model-folder: this names no {unknown[0]}. It names: {', '.join(references) or 'none'}."
        )
    models = {}
    for field, reference in references.items():
        folder = Path(folders.get(field, reference))
        if not (folder / "config.json").is_file():
            raise InvalidRequest(
                f"{folder} holds no model. With --local, say where {field} lies: --model-folder {field}=FOLDER"
            )
        models[reference] = str(folder.resolve())
    request = {
        "spec": spec.model_dump(mode="json"),
        "dataset": str(dataset.resolve()),
        "models": models,
        "device": device,
    }
    arguments = [str(out), "--request", json.dumps(request), *(["--json"] if as_json else [])]
    become("worker.run_local", arguments)


def pairs(given: list[str] | None, option: str, example: str) -> dict[str, str]:
    """Options of the form WHAT=VALUE."""
    from core.errors import InvalidRequest

    found = {}
    for one in given or []:
        what, sign, value = one.partition("=")
        if not (what and sign and value):
            raise InvalidRequest(f"{option} takes {example}, not {one!r}.")
        found[what] = value
    return found


def _measured(metric: Mapping[str, Any]) -> str:
    value = f"{metric['value']:.4g}"
    if metric.get("low") is not None and metric.get("high") is not None:
        value += f" ({metric['low']:.4g} to {metric['high']:.4g})"
    if metric.get("chance") is not None:
        value += f", chance {metric['chance']:.4g}"
    return value
