"""Makes a data folder ready before the services start: `python -m core.stack.preparation CLIENT_FILE`.

A process of its own, so that the supervisor need not carry SQLAlchemy, Alembic and boto3 for as long as it lives.
Prints the sign-in link as its last line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sqlalchemy.orm import Session

from core.bootstrap import prepare
from core.config import Settings, load_settings
from core.errors import VoicesketchError
from core.ledger.database import Database
from core.ledger.tables import User
from core.people.accounts import create_sign_in_link, ensure_admin, issue_token, user_of_token
from core.stack.credentials import write_private

TOKEN_NAME = "the command line on this machine"  # noqa: S105 - a name, not a token


def main() -> int:
    settings = load_settings()
    client_file = Path(sys.argv[1])
    try:
        prepare(settings)
        database = Database(settings.database_url)
        with database.write() as session:
            admin = ensure_admin(session)
            token = _token(session, admin, client_file)
            link = create_sign_in_link(session, admin, settings.public_url)
        database.dispose()
    except VoicesketchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _tell_clients(settings, token, client_file)
    sys.stdout.write(link + "\n")
    return 0


def _token(session: Session, admin: User, client_file: Path) -> str:
    """The token in use, where it is still good: programs that hold it go on working after a restart."""
    try:
        token = str(json.loads(client_file.read_text())["token"])
    except (OSError, ValueError, KeyError, TypeError):
        token = ""
    if token and user_of_token(session, token) is not None:
        return token
    return issue_token(session, admin, TOKEN_NAME)


def _tell_clients(settings: Settings, token: str, client_file: Path) -> None:
    write_private(client_file, json.dumps({"url": settings.public_url, "token": token}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
