"""add training and schedules"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import core.ledger.database

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_subject_id", "audit_entries", ["subject", "id"])

    op.create_table(
        "alias_moves",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("alias", sa.String(length=80), nullable=False),
        sa.Column("old_version_id", sa.String(length=40), nullable=True),
        sa.Column("new_version_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["new_version_id"],
            ["model_versions.id"],
            name=op.f("fk_alias_moves_new_version_id_model_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["old_version_id"],
            ["model_versions.id"],
            name=op.f("fk_alias_moves_old_version_id_model_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_moves")),
    )
    op.create_index("ix_alias_moves_alias_id", "alias_moves", ["alias", "id"])

    op.create_table(
        "collections",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_collections_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("name", name=op.f("uq_collections_name")),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("model_version_id", sa.String(length=40), nullable=False),
        sa.Column("partner_version_id", sa.String(length=40), nullable=True),
        sa.Column("dataset_version_id", sa.String(length=40), nullable=False),
        sa.Column("spec_sha256", sa.String(length=64), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_versions.id"],
            name=op.f("fk_evaluations_dataset_version_id_dataset_versions"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_evaluations_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_versions.id"],
            name=op.f("fk_evaluations_model_version_id_model_versions"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_version_id"],
            ["model_versions.id"],
            name=op.f("fk_evaluations_partner_version_id_model_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        sa.UniqueConstraint(
            "model_version_id",
            "dataset_version_id",
            "spec_sha256",
            name=op.f("uq_evaluations_model_version_id_dataset_version_id_spec_sha256"),
        ),
    )
    op.create_index("ix_evaluations_model_version_id", "evaluations", ["model_version_id"])

    op.create_table(
        "log_lines",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_log_lines_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_lines")),
    )
    op.create_index("ix_log_lines_job_id_id", "log_lines", ["job_id", "id"])

    op.create_table(
        "measurements",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("series", sa.String(length=120), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Float(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_measurements_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "series", "step", name=op.f("pk_measurements")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("cron", sa.String(length=120), nullable=True),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("new_pairs", sa.Integer(), nullable=True),
        sa.Column("template", sa.JSON(), nullable=False),
        sa.Column("catch_up", sa.String(length=8), nullable=False),
        sa.Column("overlap", sa.String(length=8), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("paused_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("next_fire_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_fired_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("pairs_at_last", sa.Integer(), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("removed_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_schedules_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
    )
    op.create_index("ix_schedules_next_fire_at", "schedules", ["next_fire_at"])
    op.create_index(
        "uq_schedules_name",
        "schedules",
        ["name"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )

    op.create_table(
        "training_progress",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("phase", sa.String(length=40), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=True),
        sa.Column("samples_per_second", sa.Double(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("eta_seconds", sa.Double(), nullable=True),
        sa.Column("resumed_at_step", sa.Integer(), nullable=True),
        sa.Column("doing", sa.Text(), nullable=False),
        sa.Column("at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_training_progress_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_training_progress")),
    )
    op.create_table(
        "collection_files",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("collection_id", sa.String(length=40), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("added_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name=op.f("fk_collection_files_collection_id_collections")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection_files")),
        sa.UniqueConstraint("collection_id", "path", name=op.f("uq_collection_files_collection_id_path")),
    )
    op.create_table(
        "collection_people",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("collection_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("identity", sa.String(length=80), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name=op.f("fk_collection_people_collection_id_collections")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection_people")),
        sa.UniqueConstraint("collection_id", "name", name=op.f("uq_collection_people_collection_id_name")),
        sa.UniqueConstraint(
            "collection_id", "identity", name=op.f("uq_collection_people_collection_id_identity")
        ),
    )
    op.create_table(
        "collection_plans",
        sa.Column("collection_id", sa.String(length=40), nullable=False),
        sa.Column("way_sha256", sa.String(length=64), nullable=False),
        sa.Column("plan_sha256", sa.String(length=64), nullable=False),
        sa.Column("made_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collections.id"], name=op.f("fk_collection_plans_collection_id_collections")
        ),
        sa.PrimaryKeyConstraint("collection_id", "way_sha256", name=op.f("pk_collection_plans")),
    )
    op.create_table(
        "job_files",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("object_key", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=80), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("attempt_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.id"], name=op.f("fk_job_files_attempt_id_attempts")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_files_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_files")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_job_files_job_id_name")),
    )
    op.create_table(
        "schedule_runs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("schedule_id", sa.String(length=40), nullable=False),
        sa.Column("fire_time", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("prepare_job_id", sa.String(length=40), nullable=True),
        sa.Column("train_job_id", sa.String(length=40), nullable=True),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["prepare_job_id"], ["jobs.id"], name=op.f("fk_schedule_runs_prepare_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name=op.f("fk_schedule_runs_schedule_id_schedules")
        ),
        sa.ForeignKeyConstraint(
            ["train_job_id"], ["jobs.id"], name=op.f("fk_schedule_runs_train_job_id_jobs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_runs")),
        sa.UniqueConstraint("schedule_id", "fire_time", name=op.f("uq_schedule_runs_schedule_id_fire_time")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", core.ledger.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["schedule_runs.id"], name=op.f("fk_webhook_deliveries_run_id_schedule_runs")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("ix_webhook_deliveries_next_attempt_at", "webhook_deliveries", ["next_attempt_at"])

    with op.batch_alter_table("model_versions") as batch:
        batch.add_column(sa.Column("job_id", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("parent_id", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("dataset_version_id", sa.String(length=40), nullable=True))
        batch.add_column(sa.Column("lineage", sa.JSON(), nullable=True))
        batch.add_column(
            sa.Column("deleted_at", core.ledger.database.UtcDateTime(timezone=True), nullable=True)
        )
        batch.create_foreign_key(
            batch.f("fk_model_versions_parent_id_model_versions"), "model_versions", ["parent_id"], ["id"]
        )

    with op.batch_alter_table("dataset_shards") as batch:
        batch.add_column(sa.Column("inputs_sha256", sa.String(length=64), nullable=True))
        batch.create_index("ix_dataset_shards_inputs_sha256", ["inputs_sha256"])


def downgrade() -> None:
    with op.batch_alter_table("dataset_shards") as batch:
        batch.drop_index("ix_dataset_shards_inputs_sha256")
        batch.drop_column("inputs_sha256")
    with op.batch_alter_table("model_versions") as batch:
        batch.drop_constraint(batch.f("fk_model_versions_parent_id_model_versions"), type_="foreignkey")
        batch.drop_column("deleted_at")
        batch.drop_column("lineage")
        batch.drop_column("dataset_version_id")
        batch.drop_column("parent_id")
        batch.drop_column("job_id")

    op.drop_index("ix_webhook_deliveries_next_attempt_at", table_name="webhook_deliveries")

    op.drop_table("webhook_deliveries")
    op.drop_table("schedule_runs")
    op.drop_table("job_files")
    op.drop_table("collection_plans")
    op.drop_table("collection_people")
    op.drop_table("collection_files")
    op.drop_table("training_progress")
    op.drop_index("uq_schedules_name", table_name="schedules")
    op.drop_index("ix_schedules_next_fire_at", table_name="schedules")

    op.drop_table("schedules")
    op.drop_table("measurements")
    op.drop_index("ix_log_lines_job_id_id", table_name="log_lines")

    op.drop_table("log_lines")
    op.drop_index("ix_evaluations_model_version_id", table_name="evaluations")

    op.drop_table("evaluations")
    op.drop_table("collections")
    op.drop_index("ix_alias_moves_alias_id", table_name="alias_moves")

    op.drop_table("alias_moves")
    op.drop_index("ix_audit_entries_subject_id", table_name="audit_entries")

    op.drop_table("audit_entries")
