"""Migrations that nobody has written yet: a copy of the folder with one more behind those that are there."""

from __future__ import annotations

import shutil
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from core.ledger.migrating import MIGRATIONS

NEXT = "9001"
# What a release may well need: a column, what it says about rows of before, and an index over it.
USUAL = """
    add_columns("items", sa.Column("shade", sa.Integer(), nullable=True))
    backfill("items", {"shade": "position % 7"}, where="shade IS NULL", rows=ROWS)
    add_index("ix_items_shade", "items", ["shade", "id"])
"""
# The same without thinking of anybody.
CARELESS = """
    op.add_column("items", sa.Column("shade", sa.Integer(), nullable=True))
    op.execute("UPDATE items SET shade = position % 7")
    op.create_index("ix_items_shade", "items", ["shade", "id"])
"""


def with_one_more(folder: Path, upgrade: str, *, rows: int = 100, head: str = "") -> Path:
    """The migrations with one more, whose `upgrade` has these lines."""
    scripts = folder / "migrations"
    folder.mkdir(exist_ok=True)
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    before = scripts_of(MIGRATIONS).get_current_head()
    (scripts / "versions" / f"{NEXT}_next.py").write_text(
        f'''"""the next one"""

import sqlalchemy as sa
from alembic import op

from core.ledger.online_changes import add_columns, add_index, backfill, remove_index

revision = "{NEXT}"
down_revision = "{before}"
{head}
ROWS = {rows}


def upgrade() -> None:
    {upgrade.strip()}


def downgrade() -> None:
    pass
'''
    )
    return scripts


def scripts_of(folder: Path) -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return ScriptDirectory.from_config(config)
