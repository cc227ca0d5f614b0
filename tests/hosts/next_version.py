"""The version that comes after this one: the same code, one migration more, and a column that only it writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.ledger.schema_fit import known_revisions
from tests.hosts.place import CHECKOUT

COLUMN, VALUE = "made_by", "next"
_PARTS = ("core", "dashboard", "worker", "migrations")
_KIND = "    kind: Mapped[str] = mapped_column(String(24))\n"
_MIGRATION = '''"""add what the next version knows of a job"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("{column}", sa.String(8), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "{column}")
'''


def write_next_version(folder: Path) -> str:
    """Writes the whole tree; answers its newest revision."""
    ignored = shutil.ignore_patterns("__pycache__")
    for part in _PARTS:
        shutil.copytree(CHECKOUT / part, folder / part, ignore=ignored)
    before = known_revisions()[-1]
    revision = f"{int(before) + 1:04}"
    migration = _MIGRATION.format(revision=revision, before=before, column=COLUMN)
    (folder / "migrations" / "versions" / f"{revision}_next_version.py").write_text(migration)
    tables = folder / "core" / "ledger" / "tables.py"
    head, job, rest = tables.read_text().partition("class Job(Base):\n")
    assert _KIND in rest
    column = f'    {COLUMN}: Mapped[str | None] = mapped_column(String(8), default="{VALUE}")\n'
    tables.write_text(head + job + rest.replace(_KIND, _KIND + column, 1))
    return revision
