"""`voicesketch jobs timeline|log|events|webhook`: how a job went, and who was told of it."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told
from core.cli.one_job import JobId, found

app = typer.Typer()


@app.command()
def timeline(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """The states a job went through: when, and by whom."""
    with told():
        from core.cli.showing import moment, one_line, print_json, print_table

        client = connect(url, token, data)
        moves = client.timeline(found(client, job_id))
        if as_json:
            print_json(moves)
            return
        rows = [("WHEN", "STATE", "BY", "WHY")]
        rows += [
            (
                moment(move["at"], seconds=True),
                move["new"],
                one_line(move["actor"]),
                one_line(move["reason"] or ""),
            )
            for move in moves
        ]
        print_table(rows)


@app.command()
def log(
    job_id: JobId,
    limit: Annotated[int, typer.Option(min=1, max=4000, help="The last so many lines.")] = 200,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """What the program of a training, evaluation or analysis said last."""
    with told():
        from core.cli.showing import moment, one_line, print_json

        client = connect(url, token, data)
        lines = client.log(found(client, job_id), limit=limit)["data"]
        if as_json:
            print_json(lines)
            return
        for line in lines:
            typer.echo(one_line(f"{moment(line['at'], seconds=True)}  {line['level']:<7} {line['text']}"))


@app.command()
def events(
    job_id: JobId,
    since: Annotated[
        int | None, typer.Option(min=0, help="Only what came behind the event of this id.", metavar="ID")
    ] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """What happens to a job, as it happens, until it has ended; a line for each event."""
    with told():
        import json

        client = connect(url, token, data)
        for event in client.follow_job(found(client, job_id), since=since):
            if as_json:
                typer.echo(json.dumps({"id": event.id, "event": event.name, "data": event.data}))
            else:
                typer.echo(_event_line(event.name, event.data))


@app.command()
def webhook(
    job_id: JobId, as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None
) -> None:
    """Where the end of a job is told, and how the notes about it fared."""
    with told():
        from core.cli.showing import moment, one_line, print_json

        client = connect(url, token, data)
        told_to = client.webhook(found(client, job_id))
        if as_json:
            print_json(told_to)
            return
        if told_to["url"] is None:
            typer.echo("Nobody is told of the end of this job.")
            return
        typer.echo(one_line(told_to["url"]))
        for note in told_to["notes"]:
            if note["delivered"]:
                how = f"delivered {moment(note['delivered_at'] or '')}"
            elif note["next_attempt_at"]:
                how = f"to be sent again {moment(note['next_attempt_at'])}"
            else:
                how = "given up"
            error = f": {note['last_error']}" if note["last_error"] else ""
            typer.echo(one_line(f"  {moment(note['created_at'])}  {how}, attempts {note['attempts']}{error}"))


def _event_line(name: str, data: dict[str, object]) -> str:
    from core.cli.showing import one_line
    from core.client_views import ItemView, JobView
    from core.progress import describe

    if name == "job":
        job = JobView.read(data)
        return one_line(f"{job.id} {job.state.value}: {describe(job)}")
    if name == "items":
        rows = data.get("data")
        told_items = [ItemView.read(row) for row in rows] if isinstance(rows, list) else []
        more = " and more" if data.get("more") else ""
        return one_line("  " + ", ".join(f"{one.key} {one.state.value}" for one in told_items) + more)
    return one_line(f"  {name}")
