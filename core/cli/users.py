"""`voicesketch users`: who may sign in. Works on the ledger itself, so it needs no running service and no token.

Whoever can read the data folder (or the settings of an installation) is its administrator already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.connection import AsJson
from core.cli.endings import told

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from core.config import Settings
    from core.ledger.database import Database
    from core.ledger.tables import User
    from core.stack.folder import DataFolder

app = typer.Typer(no_args_is_help=True, help="Add people, and make sign-in links for them.")

Folder = Annotated[
    Path,
    typer.Option(
        "--data", help="Data folder of a stack on this machine.", envvar="VOICESKETCH_DATA", metavar="DIR"
    ),
]
Amount = Annotated[str | None, typer.Option(metavar="NUMBER|none|role", show_default=False)]
DEFAULT_FOLDER = Path("voicesketch-data")


@app.command("list")
def list_users(data: Folder = DEFAULT_FOLDER, as_json: AsJson = False) -> None:
    """Everybody who is known here."""
    with told(), _ledger(data) as (database, _):
        from sqlalchemy import select

        from core.cli.showing import one_line
        from core.ledger.tables import User

        with database.read() as session:
            users = session.scalars(select(User).order_by(User.created_at)).all()
        if as_json:
            rows = [
                {"name": user.name, "role": user.role, "created_at": user.created_at.isoformat()}
                for user in users
            ]
            typer.echo(json.dumps(rows, indent=1))
            return
        for user in users:
            typer.echo(f"{one_line(user.name):<24} {user.role}")


@app.command()
def add(
    name: str,
    role: Annotated[str, typer.Option(help="viewer, submitter, operator or admin.")] = "submitter",
    data: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Add somebody, and print a link with which they sign in."""
    with told(), _ledger(data) as (database, url):
        from core.errors import InvalidRequest
        from core.people.accounts import Role, create_sign_in_link, create_user

        if role not in set(Role):
            raise InvalidRequest(f"There is no role {role!r}; take one of: {', '.join(Role)}.")
        with database.write() as session:
            made = create_sign_in_link(session, create_user(session, name, Role(role)), url)
        _tell(made, as_json, name=name, role=role, link=made)


@app.command()
def link(
    name: Annotated[str, typer.Argument()] = "admin", data: Folder = DEFAULT_FOLDER, as_json: AsJson = False
) -> None:
    """Print a new sign-in link; it works once, within the hour."""
    with told(), _ledger(data) as (database, url):
        from core.people.accounts import create_sign_in_link

        with database.write() as session:
            made = create_sign_in_link(session, _find(session, name), url)
        _tell(made, as_json, name=name, link=made)


@app.command()
def token(
    name: Annotated[str, typer.Argument()] = "admin",
    called: Annotated[
        str, typer.Option(help="What it is for; an earlier token of that name ends.")
    ] = "shell",
    data: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Print a new API token; it is shown this once."""
    with told(), _ledger(data) as (database, _):
        from core.people.accounts import issue_token

        with database.write() as session:
            made = issue_token(session, _find(session, name), called)
        _tell(made, as_json, name=name, called=called, token=made)


@app.command()
def password(
    name: Annotated[str, typer.Argument()] = "admin",
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read it from standard input, not by a prompt.")
    ] = False,
    data: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Give somebody a password; ends their sessions."""
    with told(), _ledger(data) as (database, _):
        import sys

        from core.people.audit import record
        from core.people.passwords import set_password

        with database.read() as session:
            user = _find(session, name)
        new = (
            sys.stdin.readline().rstrip("\r\n")
            if stdin
            else typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
        )
        set_password(database, user, new)
        with database.write() as session:
            record(
                session, actor="shell", action="user.password", subject=user.id, details={"name": user.name}
            )
        typer.echo(f"{user.name} signs in with the new password from now on.", err=True)
        if as_json:
            typer.echo(json.dumps({"name": user.name}, indent=1))


@app.command()
def quota(
    name: Annotated[str, typer.Argument()],
    items_at_once: Amount = None,
    items_a_day: Amount = None,
    jobs_at_once: Amount = None,
    stored_bytes: Amount = None,
    data: Folder = DEFAULT_FOLDER,
    as_json: AsJson = False,
) -> None:
    """Show what somebody may take of what all share, or change it: a number, `none`, or `role` for what all have."""
    given = {
        "items_at_once": items_at_once,
        "items_a_day": items_a_day,
        "jobs_at_once": jobs_at_once,
        "stored_bytes": stored_bytes,
    }
    with told(), _ledger(data) as (database, _):
        from core.people.quotas import uses_of

        change = {limit: _amount(words) for limit, words in given.items() if words is not None}
        if change:
            _change_quota(database, name, change)
        with database.read() as session:
            uses = uses_of(session, _find(session, name))
        if as_json:
            rows = [
                {"limit": use.limit.value, "most": use.most, "used": use.used, "own": use.is_own}
                for use in uses
            ]
            typer.echo(json.dumps(rows, indent=1))
            return
        for use in uses:
            most = "no limit" if use.most is None else f"{use.used:,} of {use.most:,}"
            typer.echo(f"{use.limit.value:<14} {most}{'' if use.is_own else ' (by the role)'}")


def _change_quota(database: Database, name: str, change: Mapping[str, int | str | None]) -> None:
    from core.people.audit import record
    from core.people.quotas import give_quotas

    with database.write() as session:
        user = _find(session, name)
        before = dict(user.quotas or {})
        after: dict[str, int | None] = {
            limit: most for limit, most in {**before, **change}.items() if not isinstance(most, str)
        }
        give_quotas(session, user, after)
        record(
            session,
            actor="shell",
            action="user.quota",
            subject=user.id,
            details={"name": user.name, "before": before, "after": after},
        )


def _amount(words: str) -> int | str | None:
    """A limit as it is given here; None for none, and `role` for that of the role."""
    from core.errors import InvalidRequest
    from core.people.quotas import read_amount

    if words in ("none", "role"):
        return None if words == "none" else words
    try:
        return read_amount(words)
    except ValueError as error:
        raise InvalidRequest(
            f"{words!r} is no limit: give a whole number, such as 20000 or 50GB, or none, or role."
        ) from error


def _tell(plain: str, as_json: bool, **fields: str) -> None:
    typer.echo(json.dumps(fields, indent=1) if as_json else plain)


def _find(session: Session, name: str) -> User:
    from sqlalchemy import select

    from core.errors import NotFound
    from core.ledger.tables import User

    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    if user is None:
        raise NotFound(f"There is no user {name!r}. See: voicesketch users list")
    return user


@contextmanager
def _ledger(data: Path) -> Iterator[tuple[Database, str]]:
    """The ledger of a data folder, or the one that the environment names, and where its dashboard is reached."""
    import os

    from core.config import load_settings
    from core.errors import Conflict, NotFound
    from core.ledger.database import Database
    from core.ledger.schema_fit import Fit, fit_of
    from core.people.quotas import enforce
    from core.stack.folder import DataFolder
    from core.stack.keeping import names_a_ledger

    settings: Settings | None = None
    if names_a_ledger(os.environ):
        settings = load_settings()
        address, url = settings.database_url, settings.public_url
        how = "python -m core.bootstrap"
    else:
        folder = DataFolder(data.absolute())
        how = f"voicesketch up --data {data}"
        if not folder.ledger.exists():
            raise NotFound(f"There is no ledger in {data}. Start a stack there first: {how}")
        address, url = folder.ledger_url, _address_of(folder)
    database = Database(address)
    try:
        with database.read() as session:
            if fit_of(session) in (Fit.EMPTY, Fit.BEHIND):
                raise Conflict(f"The ledger lacks tables of this version. Make it ready first: {how}")
        if settings is not None:
            enforce(database, settings)
        yield database, url
    finally:
        database.dispose()


def _address_of(folder: DataFolder) -> str:
    """Where the dashboard of a data folder is, or was when it ran last."""
    from core.errors import NotFound

    try:
        return str(json.loads(folder.client.read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFound(
            f"{folder.client} does not tell where the dashboard is. A start writes it anew: voicesketch up "
            f"--data {folder.path}"
        ) from error
