"""`voicesketch retention`: how long things are kept after the end of their job."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer(no_args_is_help=True, help="Say how long faces, recordings, checkpoints and logs are kept.")

Kind = Annotated[
    str, typer.Argument(help="faces, recordings, checkpoints or logs.", metavar="KIND", show_default=False)
]
Scope = Annotated[
    str, typer.Option("--of", help="Only of jobs with a label, NAME=VALUE, or of one job.", metavar="SCOPE")
]


@app.command("list")
def list_rules(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """The rules; what has none stays for good."""
    with told():
        from core.cli.showing import one_line, print_json, print_table

        rules = connect(url, token, data).retention()
        if as_json:
            print_json(rules)
        elif not rules:
            typer.echo("There is no rule: everything stays for good.")
        else:
            rows = [("KIND", "OF", "DAYS")]
            rows += [(one["kind"], one_line(one["scope"]) or "all jobs", _days(one["days"])) for one in rules]
            print_table(rows)


@app.command("set")
def set_rule(
    kind: Kind,
    days: Annotated[
        int | None, typer.Option(help="After the end of a job; for good when left out.", show_default=False)
    ] = None,
    scope: Scope = "",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Keep things of a kind so many days."""
    with told():
        from core.cli.showing import one_line, print_json

        kept: Any = kind
        rule = connect(url, token, data).keep(kept, days, scope=scope)
        if as_json:
            print_json(rule)
        else:
            of = one_line(rule["scope"]) or "all jobs"
            typer.echo(f"{rule['kind']} of {of}: {_days(rule['days'])}.")


@app.command("remove")
def remove_rule(
    kind: Kind,
    scope: Scope = "",
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Take a rule back."""
    with told():
        from core.cli.showing import print_json

        kept: Any = kind
        connect(url, token, data).remove_rule(kept, scope=scope)
        print_json({"kind": kind, "scope": scope}) if as_json else typer.echo("The rule is gone.")


def _days(days: int | None) -> str:
    return "for good" if days is None else f"{days:,} day{'' if days == 1 else 's'}"
