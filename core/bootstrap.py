"""Everything that must be there before the first job: tables, bucket, the bundled model, an administrator."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

from core.accounts import ensure_admin
from core.config import Settings
from core.database import Database
from core.registry import PRODUCTION, register_model
from core.store import Store

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
BUNDLED_MODEL = "default"


def migrate(database_url: str, revision: str = "head") -> None:
    """Brings the tables of a ledger to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = database_url
    command.upgrade(config, revision)


def prepare(settings: Settings) -> None:
    """Makes a new place ready, and an old one current; running it again changes nothing."""
    migrate(settings.database_url)
    database = Database(settings.database_url)
    store = Store(settings)
    try:
        store.ensure_bucket()
        with database.write() as session:
            ensure_admin(session)
        register_model(database, store, settings.model_folder, name=BUNDLED_MODEL, alias=PRODUCTION)
    finally:
        database.dispose()
