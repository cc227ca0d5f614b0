"""Every migration since the rules leaves those in peace who are at work; each rule finds who breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.ledger.migrating import MIGRATIONS
from tests.conftest import sqlite_url
from tests.core.migrations.next_versions import CARELESS, NEXT, USUAL, scripts_of, with_one_more
from tests.core.migrations.rules import faults_of
from tests.servers import Postgres

# Older ones came before anybody had many rows.
_BEFORE_THE_RULES = ("0001", "0002", "0003", "0004")


@pytest.fixture
def server_url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as url:
        yield url


def test_every_migration_leaves_those_in_peace_who_are_at_work(postgres: Postgres, tmp_path: Path) -> None:
    revisions = [script.revision for script in scripts_of(MIGRATIONS).walk_revisions()]
    assert set(_BEFORE_THE_RULES) <= set(revisions)
    for revision in sorted(set(revisions) - set(_BEFORE_THE_RULES)):
        folder = tmp_path / revision
        folder.mkdir()
        assert faults_of(sqlite_url(folder), MIGRATIONS, revision) == []
        with postgres.database() as url:
            assert faults_of(url, MIGRATIONS, revision) == []


def test_what_is_made_of_the_online_changes_is_as_it_should_be(
    empty_database_url: str, tmp_path: Path
) -> None:
    both = USUAL + '\n    remove_index("ix_items_drawing_id", "items")'
    assert faults_of(empty_database_url, with_one_more(tmp_path, both), NEXT) == []


_PLANTED = (
    ('op.create_index("ix", "jobs", ["queue"])', "jobs: builds an index while nobody can write"),
    ('op.drop_index("ix_items_drawing_id")', "waits for everybody who reads the table"),
    (
        'op.add_column("users", sa.Column("a", sa.Integer(), nullable=False))',
        "users: old processes enter rows",
    ),
    (
        'op.add_column("users", sa.Column("b", sa.Float(), server_default=sa.text("random()")))',
        "users: writes every",
    ),
    ('op.alter_column("items", "lost", type_=sa.BigInteger())', "items: writes every row"),
    ('op.alter_column("jobs", "labels", nullable=True)', None),
    (
        'op.alter_column("jobs", "rerun_of", nullable=False)',
        "jobs: reads every row while nobody can do anything",
    ),
    ('op.create_foreign_key("fk_x", "users", "users", ["name"], ["id"])', "users: reads every row"),
    ('op.create_check_constraint("ck_x", "items", "lost >= 0")', "items: reads every row"),
    ('op.create_unique_constraint("uq_x", "users", ["id", "name"])', "users: builds an index while"),
    ('op.execute("UPDATE items SET lost = 0")', "items: writes many rows in one transaction"),
    (
        'op.execute("DELETE FROM transitions WHERE id < 5")',
        "transitions: writes many rows in one transaction",
    ),
    ('op.drop_column("jobs", "purged_at")', "jobs: processes of before still use it"),
    (
        'op.alter_column("jobs", "rerun_of", new_column_name="again")',
        "jobs: processes of before still use it",
    ),
    ('op.drop_table("face_marks")', "face_marks: processes of before still use it"),
    ('op.rename_table("uploads", "sendings")', "uploads: processes of before still use it"),
    ('op.execute("LOCK TABLE recordings")', "recordings: takes the table away"),
    ('op.create_table("new", sa.Column("id", sa.Integer(), primary_key=True))', None),
    ('op.create_index("ix_new", "new", ["id"])', None),
)


def test_each_rule_finds_who_breaks_it_and_nobody_else(server_url: str, tmp_path: Path) -> None:
    scripts = with_one_more(tmp_path, "\n    ".join(line for line, _ in _PLANTED))
    faults = faults_of(server_url, scripts, NEXT)
    seen, files = faults[: -len(_WRITTEN)], faults[-len(_WRITTEN) :]
    wrong = [expected for _, expected in _PLANTED if expected is not None]
    assert [fault[: len(expected)] for fault, expected in zip(seen, wrong, strict=True)] == wrong
    assert sorted(files) == [f"{table}: every row was written anew" for table in _WRITTEN]


# By a default that is another one for each row, and by another type.
_WRITTEN = ("items", "users")


def test_a_migration_that_could_not_be_given_again_is_found(server_url: str, tmp_path: Path) -> None:
    planted = """
    op.add_column("users", sa.Column("x", sa.Integer()))
    remove_index("ix_items_failed", "items")
    """
    (fault,) = faults_of(server_url, with_one_more(tmp_path, planted), NEXT)
    assert fault.startswith("cannot be given again after a break")


def test_a_copied_table_is_found_on_sqlite(tmp_path: Path) -> None:
    copying = (
        'with op.batch_alter_table("users") as batch:\n        batch.alter_column("name", type_=sa.Text())'
    )
    faults = faults_of(sqlite_url(tmp_path), with_one_more(tmp_path, copying), NEXT)
    assert faults == ["users: every row was written anew"]


def test_what_nobody_uses_any_more_may_go_if_the_migration_says_so(server_url: str, tmp_path: Path) -> None:
    scripts = with_one_more(
        tmp_path, 'op.drop_column("jobs", "rerun_of")', head='UNUSED = ("jobs.rerun_of",)'
    )
    assert faults_of(server_url, scripts, NEXT) == []


def test_a_careless_migration_is_refused_for_each_thing_it_does(server_url: str, tmp_path: Path) -> None:
    faults = faults_of(server_url, with_one_more(tmp_path, CARELESS), NEXT)
    assert [fault.split(": ")[1] for fault in faults] == [
        "writes many rows in one transaction",
        "builds an index while nobody can write",
    ]
