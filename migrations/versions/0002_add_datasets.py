"""add datasets"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.ledger.database

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_PENDING = {"sqlite_where": sa.text("state = 'pending'"), "postgresql_where": sa.text("state = 'pending'")}


def upgrade() -> None:
    with op.batch_alter_table("items") as batch:
        batch.add_column(sa.Column("stage", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch.drop_index("ix_items_pending")
        batch.create_index("ix_items_pending", ["job_id", "stage", "lost", "position"], **_PENDING)
    op.create_table(
        "dataset_shards",
        sa.Column(
            "item_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_dataset_shards_attempt_id_attempts")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_dataset_shards_item_id_items")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_dataset_shards_job_id_jobs")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_dataset_shards")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_dataset_shards_job_id_number")),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_dataset_versions_job_id_jobs")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_dataset_versions_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("name", "sha256", name=op.f("uq_dataset_versions_name_sha256")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_dataset_versions_name_version")),
    )
    op.create_index(op.f("ix_dataset_versions_owner_id"), "dataset_versions", ["owner_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_dataset_versions_owner_id"), table_name="dataset_versions")
    op.drop_table("dataset_versions")
    op.drop_table("dataset_shards")
    with op.batch_alter_table("items") as batch:
        batch.drop_index("ix_items_pending")
        batch.create_index("ix_items_pending", ["job_id", "lost", "position"], **_PENDING)
        batch.drop_column("stage")
