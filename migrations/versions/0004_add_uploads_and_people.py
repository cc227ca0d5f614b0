"""add uploads, labels, marks, retention and sign-in by password"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.ledger.database

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Moment = core.ledger.database.UtcDateTime


def upgrade() -> None:
    with op.batch_alter_table("users") as table:
        table.add_column(sa.Column("oidc_subject", sa.String(length=255), nullable=True))
        table.add_column(
            sa.Column("failed_sign_ins", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )
        table.add_column(sa.Column("locked_until", Moment(timezone=True), nullable=True))
        table.add_column(sa.Column("sessions_from", Moment(timezone=True), nullable=True))
        table.create_unique_constraint(op.f("uq_users_oidc_subject"), ["oidc_subject"])
    with op.batch_alter_table("secrets") as table:
        table.add_column(sa.Column("scopes", sa.JSON(), nullable=True))
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("labels", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
        table.add_column(sa.Column("rerun_of", sa.String(length=40), nullable=True))
        table.add_column(sa.Column("purged_at", Moment(timezone=True), nullable=True))
        table.create_index(op.f("ix_jobs_rerun_of"), ["rerun_of"])
    with op.batch_alter_table("drawings") as table:
        table.add_column(sa.Column("thumbnail_id", sa.String(length=40), nullable=True))
        for name in ("face_id_artifacts", "spectrogram_id_artifacts", "attempt_id_attempts"):
            table.drop_constraint(op.f(f"fk_drawings_{name}"), type_="foreignkey")
    with op.batch_alter_table("recordings") as table:
        table.add_column(sa.Column("purged_at", Moment(timezone=True), nullable=True))
    op.create_index("ix_recording_owners_owner_id_sha256", "recording_owners", ["owner_id", "sha256"])
    op.create_index(
        "ix_items_drawing_id",
        "items",
        ["drawing_id"],
        sqlite_where=sa.text("drawing_id IS NOT NULL"),
        postgresql_where=sa.text("drawing_id IS NOT NULL"),
    )
    with op.batch_alter_table("workers") as table:
        table.add_column(sa.Column("utilisation", sa.JSON(), nullable=True))
        table.add_column(sa.Column("leaving_at", Moment(timezone=True), nullable=True))
    op.drop_index("ix_items_recording_sha256", "items")
    op.create_index("ix_items_recording_sha256_job_id", "items", ["recording_sha256", "job_id"])
    op.create_index(
        "ix_items_failed",
        "items",
        ["job_id", "error_code", "state", "position"],
        sqlite_where=sa.text("error_code IS NOT NULL"),
        postgresql_where=sa.text("error_code IS NOT NULL"),
    )

    op.create_index(
        "ix_transitions_of_jobs",
        "transitions",
        ["job_id", "id"],
        sqlite_where=sa.text("item_id IS NULL"),
        postgresql_where=sa.text("item_id IS NULL"),
    )

    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=200), nullable=False),
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("s3_upload_id", sa.Text(), nullable=True),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("recording_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", Moment(timezone=True), nullable=False),
        sa.Column("expires_at", Moment(timezone=True), nullable=False),
        sa.Column("finished_at", Moment(timezone=True), nullable=True),
        sa.Column("abandoned_at", Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_uploads_owner_id_users")),
        sa.ForeignKeyConstraint(
            ["recording_sha256"], ["recordings.sha256"], name=op.f("fk_uploads_recording_sha256_recordings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_owner_id_fingerprint", "uploads", ["owner_id", "fingerprint"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])

    op.create_table(
        "face_marks",
        sa.Column(
            "item_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("favourite", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_face_marks_item_id_items")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_face_marks_job_id_jobs")),
        sa.ForeignKeyConstraint(["by"], ["users.id"], name=op.f("fk_face_marks_by_users")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_face_marks")),
    )
    op.create_index("ix_face_marks_job_id_favourite", "face_marks", ["job_id", "favourite", "item_id"])
    op.create_index("ix_face_marks_at", "face_marks", ["at"])

    op.create_table(
        "retention_rules",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("scope", sa.String(length=600), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("changed_by", sa.String(length=40), nullable=False),
        sa.Column("changed_at", Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["changed_by"], ["users.id"], name=op.f("fk_retention_rules_changed_by_users")
        ),
        sa.PrimaryKeyConstraint("kind", "scope", name=op.f("pk_retention_rules")),
    )
    op.create_table(
        "storage_sums",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_storage_sums")),
    )

    op.create_table(
        "job_webhooks",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_webhooks_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_webhooks")),
    )
    with op.batch_alter_table("webhook_deliveries") as table:
        table.alter_column("run_id", existing_type=sa.String(length=40), nullable=True)
        table.add_column(sa.Column("job_id", sa.String(length=40), nullable=True))
        table.create_foreign_key(op.f("fk_webhook_deliveries_job_id_jobs"), "jobs", ["job_id"], ["id"])
        table.create_index(op.f("ix_webhook_deliveries_job_id"), ["job_id"])


def downgrade() -> None:
    op.drop_index("ix_items_failed", "items")
    op.drop_index("ix_items_recording_sha256_job_id", "items")
    op.create_index("ix_items_recording_sha256", "items", ["recording_sha256"])
    op.drop_index("ix_transitions_of_jobs", "transitions")
    op.execute("DELETE FROM webhook_deliveries WHERE run_id IS NULL")
    with op.batch_alter_table("webhook_deliveries") as table:
        table.drop_index(op.f("ix_webhook_deliveries_job_id"))
        table.drop_constraint(op.f("fk_webhook_deliveries_job_id_jobs"), type_="foreignkey")
        table.drop_column("job_id")
        table.alter_column("run_id", existing_type=sa.String(length=40), nullable=False)
    for name in ("job_webhooks", "storage_sums", "retention_rules", "face_marks", "uploads"):
        op.drop_table(name)
    with op.batch_alter_table("workers") as table:
        table.drop_column("leaving_at")
        table.drop_column("utilisation")
    op.drop_index("ix_recording_owners_owner_id_sha256", "recording_owners")
    op.drop_index("ix_items_drawing_id", "items")
    with op.batch_alter_table("recordings") as table:
        table.drop_column("purged_at")
    with op.batch_alter_table("drawings") as table:
        for name, of in (
            ("face_id", "artifacts"),
            ("spectrogram_id", "artifacts"),
            ("attempt_id", "attempts"),
        ):
            table.create_foreign_key(op.f(f"fk_drawings_{name}_{of}"), of, [name], ["id"])
        table.drop_column("thumbnail_id")
    with op.batch_alter_table("jobs") as table:
        table.drop_index(op.f("ix_jobs_rerun_of"))
        for name in ("purged_at", "rerun_of", "labels"):
            table.drop_column(name)
    with op.batch_alter_table("secrets") as table:
        table.drop_column("scopes")
    with op.batch_alter_table("users") as table:
        table.drop_constraint(op.f("uq_users_oidc_subject"), type_="unique")
        for name in ("sessions_from", "locked_until", "failed_sign_ins", "oidc_subject"):
            table.drop_column(name)
