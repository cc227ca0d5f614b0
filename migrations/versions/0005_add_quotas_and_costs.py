"""add quotas of users and what jobs took of devices

Every column may be empty and has no default, so neither database rewrites a row; nothing here waits for anything but
the moment in which a table's definition changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.ledger.database

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ADDED: tuple[tuple[str, str, sa.types.TypeEngine[object]], ...] = (
    ("users", "quotas", sa.JSON()),
    ("users", "stored_bytes", sa.BigInteger()),
    ("users", "stored_counted_at", core.ledger.database.UtcDateTime(timezone=True)),
    ("jobs", "gpu_seconds", sa.Double()),
    ("jobs", "cpu_seconds", sa.Double()),
)


def upgrade() -> None:
    for table, name, kind in _ADDED:
        op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for table, name, _ in reversed(_ADDED):
        op.drop_column(table, name)
