"""Alembic's entry: runs migrations on the ledger that the caller, or VOICESKETCH_DATABASE_URL, names."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

import core.ledger.mark_tables
import core.ledger.retention_tables
import core.ledger.schedule_tables
import core.ledger.training_tables
import core.ledger.upload_tables  # noqa: F401 - they enter their tables in the metadata
from core.ledger.database import Database
from core.ledger.migrating import LOCK_TIMEOUT_MILLISECONDS
from core.ledger.tables import Base


def run() -> None:
    url = context.config.attributes.get("database_url") or os.environ["VOICESKETCH_DATABASE_URL"]
    database = Database(url)
    try:
        # A migration is one write transaction; SQLite changes tables by copying them, which batch mode does.
        with database.engine.execution_options(voicesketch_write=True).connect() as connection:
            _let_copies_take_places(connection)
            _wait_for_nobody_long(connection)
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                render_as_batch=True,
                compare_type=True,
                transaction_per_migration=True,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
            connection.invalidate()  # whoever connects next has foreign keys checked again
    finally:
        database.dispose()


def _let_copies_take_places(connection: Connection) -> None:
    """SQLite takes a table that its copy replaces for one whose rows are deleted, and refuses if others name them.

    The names stay good, because the copy has the same rows. It must be said before a transaction begins.
    """
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")


def _wait_for_nobody_long(connection: Connection) -> None:
    """Who waits for a whole table keeps up everybody who comes after; `core.ledger.migrating` tries again later."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}")
        connection.commit()


run()
