"""The migrations make exactly the tables that the code declares, and can be taken back."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from core.bootstrap import MIGRATIONS, migrate
from core.ledger.database import Database
from core.ledger.tables import Base
from tests.factories import Ledger


def test_an_empty_database_is_brought_to_what_the_tables_declare(empty_database_url: str) -> None:
    migrate(empty_database_url)
    database = Database(empty_database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    database.dispose()
    assert differences == []


def test_migrating_twice_changes_nothing_and_stepping_down_leaves_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url)
    migrate(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = empty_database_url
    command.downgrade(config, "base")
    database = Database(empty_database_url)
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    database.dispose()


def test_jobs_from_before_datasets_go_on(empty_database_url: str) -> None:
    migrate(empty_database_url)
    ledger = Ledger(Database(empty_database_url))
    job_id = ledger.job(3)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = empty_database_url
    command.downgrade(config, "0001")
    assert "stage" not in {column["name"] for column in inspect(ledger.database.engine).get_columns("items")}
    migrate(empty_database_url)
    assert [item.stage for item in ledger.items(job_id)] == [0, 0, 0]
    assert len(ledger.claim(ledger.worker()).items) == 3
    ledger.database.dispose()
