"""Everything that must be there before the first job: tables, bucket, the bundled model, an administrator.

`python -m core.bootstrap [--admin-password-file FILE]` makes a place of several machines ready, before its processes
start; running it again changes nothing but what a newer version adds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.config import Settings, load_settings
from core.errors import VoicesketchError
from core.ledger.database import Database
from core.ledger.migrating import MIGRATIONS, alone, migrate, upgrade
from core.models.registry import PRODUCTION, register_model
from core.people.accounts import count_users_who_can_sign_in, create_sign_in_link, ensure_admin
from core.people.passwords import set_password
from core.store import Store

__all__ = ["BUNDLED_MODEL", "MIGRATIONS", "main", "migrate", "prepare"]

BUNDLED_MODEL = "default"


def prepare(settings: Settings) -> None:
    """Makes a new place ready, and an old one current; running it again, or twice at once, changes nothing more."""
    with alone(settings.database_url):
        upgrade(settings.database_url)
        database = Database(settings.database_url)
        store = Store(settings)
        try:
            store.ensure_bucket()
            with database.write() as session:
                ensure_admin(session)
            register_model(database, store, settings.model_folder, name=BUNDLED_MODEL, alias=PRODUCTION)
        finally:
            database.dispose()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a link that signs the first administrator in, good for an hour."""
    parser = argparse.ArgumentParser(prog="python -m core.bootstrap", description="Makes a place ready.")
    parser.add_argument(
        "--admin-password-file",
        type=Path,
        help="the first administrator's password, given as long as nobody has one",
    )
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        prepare(settings)
        database = Database(settings.database_url)
        if options.admin_password_file is not None:
            _give_password(database, options.admin_password_file)
        with database.write() as session:
            link = create_sign_in_link(session, ensure_admin(session), settings.public_url)
        database.dispose()
    except (VoicesketchError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"Ready. This link signs the first administrator in, within the hour: {link}\n")
    return 0


def _give_password(database: Database, file: Path) -> None:
    with database.write() as session:
        admin = ensure_admin(session)
        somebody = count_users_who_can_sign_in(session)
    if not somebody:
        set_password(database, admin, file.read_text(encoding="utf-8").strip())


if __name__ == "__main__":
    sys.exit(main())
