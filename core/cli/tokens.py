"""`voicesketch tokens`: one's own tokens for scripts, and what each may do at most."""

from __future__ import annotations

from typing import Annotated

import typer

from core.cli.connection import AsJson, Data, Token, Url, connect
from core.cli.endings import told

app = typer.Typer(no_args_is_help=True, help="Your tokens for scripts, and what each may do at most.")


@app.command("list")
def list_tokens(as_json: AsJson = False, data: Data = None, url: Url = None, token: Token = None) -> None:
    """Your tokens that still work."""
    with told():
        from core.cli.showing import moment, one_line, print_json, print_table

        found = connect(url, token, data).tokens()
        if as_json:
            print_json(found)
            return
        rows = [("TOKEN", "SCOPE", "LAST USED", "ENDS", "NAME")]
        rows += [
            (
                one["id"],
                one["scope"],
                moment(one["used_at"]) if one["used_at"] else "never",
                moment(one["expires_at"]) if one["expires_at"] else "never",
                one_line(one["name"]),
            )
            for one in found
        ]
        print_table(rows)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What it is for.", metavar="NAME", show_default=False)],
    scope: Annotated[str, typer.Option(help="read, submit, operate or admin.")] = "read",
    days: Annotated[int | None, typer.Option(help="End it after so many days.", min=1)] = None,
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print a new token; it is shown this once."""
    with told():
        from core.cli.showing import print_json

        made = connect(url, token, data).make_token(name, scope=scope, days=days)
        if as_json:
            print_json(made)
        else:
            typer.echo(made["token"])


@app.command()
def revoke(
    token_id: Annotated[
        str, typer.Argument(help="As `tokens list` shows it.", metavar="ID", show_default=False)
    ],
    as_json: AsJson = False,
    data: Data = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """End a token, at once."""
    with told():
        from core.cli.showing import one_line, print_json

        ended = connect(url, token, data).revoke_token(token_id)
        if as_json:
            print_json(ended)
        else:
            typer.echo(f"Revoked {one_line(ended['name'])}.")
