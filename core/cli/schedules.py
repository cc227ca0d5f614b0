"""`voicesketch schedules`: what is retrained by itself, and when."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

if TYPE_CHECKING:
    from core.client_views import RunView, ScheduleView

app = typer.Typer(no_args_is_help=True, help="Retrain models by the clock, or when new pairs have arrived.")

Name = Annotated[str, typer.Argument(help="The schedule.", metavar="NAME", show_default=False)]


class Overlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


class CatchUp(StrEnum):
    NONE = "none"
    LAST = "last"
    ALL = "all"


Cron = Annotated[
    str | None,
    typer.Option(help="Minute, hour, day of month, month, day of week.", metavar="'0 3 * * 1'"),
]
Zone = Annotated[str | None, typer.Option("--tz", help="Its time zone.", metavar="ZONE")]
NewPairs = Annotated[
    int | None, typer.Option(min=1, help="Fires when so many people with both sides have come.")
]
Metric = Annotated[
    str | None, typer.Option("--gate", help="A new version must not be worse in it.", metavar="METRIC")
]
Alias = Annotated[str | None, typer.Option(help="Than what this points at.", metavar="ALIAS")]
Webhook = Annotated[
    str | None, typer.Option(help="Is told when a run has ended; 'none' for nobody.", metavar="URL")
]
Config = Annotated[
    Path | None,
    typer.Option(help="A template as JSON, instead of or under the other options.", metavar="FILE.json"),
]


@app.command("list")
def list_schedules(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Every schedule, with its next fire time and its last result."""
    with told():
        found = connect(url, token, data).schedules(zone=_here())
        from core.cli.showing import one_line, print_json

        if as_json:
            print_json([dict(one.raw) for one in found])
            return
        for one in found:
            typer.echo(one_line(f"{one.name}  {one.when}"))
            typer.echo(f"  {_standing(one)}")
        if not found:
            typer.echo("There is no schedule yet. Make one: voicesketch schedules add NAME --collection C …")


@app.command()
def add(
    name: Name,
    collection: Annotated[
        str | None, typer.Option(help="What it trains on.", metavar="NAME", show_default=False)
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="What it trains: see voicesketch train --help.", metavar="PRESET")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of the model; each run makes a version.", metavar="NAME")
    ] = None,
    cron: Cron = None,
    time_zone: Zone = None,
    new_pairs: NewPairs = None,
    gate: Metric = None,
    alias: Alias = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Move the alias once the gate is passed.")
    ] = False,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Start from the version in place, not from scratch.")
    ] = False,
    overlap: Annotated[Overlap, typer.Option(help="While another run is under way.")] = Overlap.SKIP,
    catch_up: Annotated[
        CatchUp, typer.Option(help="Of times missed while nothing ran, or while paused.")
    ] = CatchUp.LAST,
    webhook: Webhook = None,
    config: Config = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Make a schedule: prepare what is new, train, measure, judge, and promote or keep."""
    with told():
        template = _template(config)
        if collection is not None:
            template.setdefault("source", {})["collection"] = collection
        _change_training(template, preset, model, gate, alias, promote or None)
        if warm_start:
            template["warm_start"] = True
        wanted: dict[str, Any] = {
            "name": name,
            "cron": cron,
            "time_zone": time_zone or "UTC",
            "new_pairs": new_pairs,
            "template": template,
            "overlap": overlap.value,
            "catch_up": catch_up.value,
            "webhook_url": _address(webhook),
        }
        _show(connect(url, token, data).create_schedule(wanted), as_json=as_json)


@app.command()
def edit(
    name: Name,
    cron: Annotated[
        str | None, typer.Option(help="A new expression; 'none' for none.", metavar="'0 3 * * 1'")
    ] = None,
    time_zone: Zone = None,
    new_pairs: Annotated[int | None, typer.Option(min=0, help="0 for never.")] = None,
    preset: Annotated[str | None, typer.Option(help="What it trains.", metavar="PRESET")] = None,
    gate: Metric = None,
    alias: Alias = None,
    promote: Annotated[
        bool | None, typer.Option("--promote/--no-promote", help="Move the alias once the gate is passed.")
    ] = None,
    warm_start: Annotated[
        bool | None, typer.Option("--warm-start/--fresh", help="What a training starts from.")
    ] = None,
    overlap: Annotated[Overlap | None, typer.Option(help="While another run is under way.")] = None,
    catch_up: Annotated[CatchUp | None, typer.Option(help="Of missed times.")] = None,
    webhook: Webhook = None,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Make a new secret for its notes.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Change what is given. A run under way goes on as it began."""
    with told():
        client = connect(url, token, data)
        change: dict[str, Any] = {}
        if cron is not None:
            change["cron"] = None if cron == "none" else cron
        if time_zone is not None:
            change["time_zone"] = time_zone
        if new_pairs is not None:
            change["new_pairs"] = new_pairs or None
        if webhook is not None:
            change["webhook_url"] = _address(webhook)
        change |= {"overlap": overlap.value} if overlap else {}
        change |= {"catch_up": catch_up.value} if catch_up else {}
        training = (preset, gate, alias, promote, warm_start)
        if config is not None or any(one is not None for one in training):
            template = _template(config) or dict(client.schedule(name).raw["template"])
            _change_training(template, preset, None, gate, alias, promote)
            if warm_start is not None:
                template["warm_start"] = warm_start
            change["template"] = template
        made = client.edit_schedule(name, change)
        secret = client.change_schedule_secret(name) if new_secret else made.secret
        _show(made, as_json=as_json, secret=secret)


@app.command()
def show(
    name: Name, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """One schedule: its next five fire times and its runs."""
    with told():
        _show(connect(url, token, data).schedule(name, zone=_here()), as_json=as_json)


@app.command()
def pause(
    name: Name, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Fire no more until it is resumed. A run under way goes on."""
    with told():
        _show(connect(url, token, data).pause_schedule(name), as_json=as_json)


@app.command()
def resume(
    name: Name, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Fire again."""
    with told():
        _show(connect(url, token, data).resume_schedule(name), as_json=as_json)


@app.command()
def run(
    name: Name,
    anyway: Annotated[bool, typer.Option("--anyway", help="Train even where nothing is new.")] = False,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Begin a run now."""
    with told():
        made = connect(url, token, data).run_schedule(name, anyway=anyway)
        from core.cli.showing import print_json

        if as_json:
            print_json(dict(made.raw))
        else:
            typer.echo(f"{made.id} has begun. Watch it: voicesketch schedules show {name}")


@app.command()
def cancel(
    name: Name,
    run_id: Annotated[str, typer.Argument(help="A run of it.", metavar="RUN", show_default=False)],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Cancel a run and its job."""
    with told():
        ended = connect(url, token, data).cancel_run(name, run_id)
        from core.cli.showing import print_json

        print_json(dict(ended.raw)) if as_json else typer.echo(f"{ended.id}: {ended.sentence}")


@app.command()
def remove(
    name: Name, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Remove a schedule; a run under way is cancelled, its models stay."""
    with told():
        connect(url, token, data).remove_schedule(name)
        from core.cli.showing import print_json

        print_json({"removed": name}) if as_json else typer.echo(f"{name} is removed.")


def _template(config: Path | None) -> dict[str, Any]:
    import json

    from core.errors import InvalidRequest

    if config is None:
        return {}
    try:
        template = json.loads(config.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{str(config)!r} cannot be read: {(error.strerror or '').lower()}.") from error
    except ValueError as error:
        raise InvalidRequest(f"{str(config)!r} is no JSON: {error}.") from error
    if not isinstance(template, dict):
        raise InvalidRequest(f"{str(config)!r} holds no template: an object is needed.")
    return template


def _change_training(
    template: dict[str, Any],
    preset: str | None,
    model: str | None,
    gate: str | None,
    alias: str | None,
    promote: bool | None,
) -> None:
    training = template.setdefault("training", {})
    if preset is not None:
        training["preset"] = preset
        for name in ("recipe", "machine"):
            training.pop(name, None)
    if model is not None:
        training["model"] = model
    after = training.setdefault("after", {})
    if gate is not None or alias is not None:
        changed = {"metric": gate, "alias": alias}
        after["gate"] = {
            **(after.get("gate") or {}),
            **{name: value for name, value in changed.items() if value is not None},
        }
    if promote is not None:
        after["promote"] = promote


def _address(given: str | None) -> str | None:
    return None if given in (None, "", "none") else given


def _here() -> str | None:
    """The time zone of this machine, where it has a name."""
    zone = Path("/etc/localtime")
    parts = zone.resolve().parts if zone.is_symlink() else ()
    return "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else None


def _show(schedule: ScheduleView, *, as_json: bool, secret: str | None = None) -> None:
    from core.cli.showing import one_line, print_json

    secret = secret or schedule.secret
    if as_json:
        print_json({**schedule.raw, **({"webhook_secret": secret} if secret else {})})
        return
    typer.echo(one_line(f"{schedule.name}  {schedule.when}"))
    typer.echo(f"  {_standing(schedule)}")
    for time in schedule.next:
        yours = f"  ({time['yours']} with you)" if time["yours"] not in (None, time["local"]) else ""
        typer.echo(f"  fires {time['local']}{yours}")
    if secret:
        typer.echo(f"  Notes are signed with this secret, shown this once: {secret}")
    for one in schedule.runs:
        typer.echo(one_line(f"  {_run(one)}"))


def _run(run: RunView) -> str:
    return f"{run.id}  {run.fire_time[:16].replace('T', ' ')} UTC  {run.state}: {run.sentence}"


def _standing(schedule: ScheduleView) -> str:
    from core.cli.showing import one_line

    last = f"last run {schedule.last_run.state}" if schedule.last_run else "has not run yet"
    if schedule.paused:
        return f"paused; {last}"
    following = f"next {schedule.next[0]['local']}" if schedule.next else "waits for new pairs"
    return one_line(f"{following}; {last}")
