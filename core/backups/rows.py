"""The rows of a ledger as lines of JSON, the same whichever database holds them, and the objects that they name."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, Select, Table, TableClause, column, func, select, table, text
from sqlalchemy.types import NullType, TypeEngine

from core.ledger import (
    mark_tables,  # noqa: F401 - `Base` knows all tables once they are imported
    retention_tables,  # noqa: F401 - `Base` knows all tables once they are imported
)
from core.ledger.database import UtcDateTime
from core.ledger.schedule_tables import CollectionPlan, JobWebhook, Schedule, WebhookDelivery
from core.ledger.tables import Artifact, Base, DatasetShard, DatasetVersion, Job, ModelVersion, Recording
from core.ledger.training_tables import JobFile
from core.ledger.upload_tables import Upload
from core.objects import dataset_plan_key, dataset_shard_key, dataset_sidecar_key

_ROWS_AT_ONCE = 5000
_TIME, _JSON, _PLAIN = "time", "json", "plain"
# What signs notes to others; the rows around it are worth nothing without.
_SECRET_COLUMNS = {Schedule.__table__: ("webhook_url", "webhook_secret")}
_SECRET_TABLES = (JobWebhook.__table__,)


def tables() -> list[Table]:
    """All tables, each after those that its rows name."""
    return list(Base.metadata.sorted_tables)


def describe(of: Table) -> list[tuple[str, str]]:
    """The columns of a table and how their values are written, for whoever reads them in another version."""
    return [(one.name, _kind(one)) for one in of.columns]


def read_rows(connection: Connection, of: Table, *, with_secrets: bool) -> Iterator[list[list[Any]]]:
    """The rows of a table, some thousands at a time, as JSON can hold them."""
    query = _rows_to_keep(of, with_secrets=with_secrets)
    if query is None:
        return
    emptied = [
        place
        for place, one in enumerate(of.columns)
        if not with_secrets and one.name in _SECRET_COLUMNS.get(of, ())
    ]
    found = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
    for some in found.partitions():
        rows = [[_to_json(value) for value in row] for row in some]
        for row in rows:
            for place in emptied:
                row[place] = None
        yield rows


def count_secrets(connection: Connection) -> int:
    """How many addresses that are told of something a backup without secrets leaves out."""
    of_jobs = select(func.count()).select_from(JobWebhook)
    of_schedules = select(func.count()).select_from(Schedule).where(Schedule.webhook_secret.is_not(None))
    return int(connection.scalar(of_jobs) or 0) + int(connection.scalar(of_schedules) or 0)


def insert_rows(
    connection: Connection, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
) -> None:
    """Enters rows as `read_rows` gave them; the table may be that of an earlier version of the code."""
    into = _clause(name, columns)
    times = [place for place, (_, kind) in enumerate(columns) if kind == _TIME]
    given = []
    for row in rows:
        values = list(row)
        for place in times:
            if values[place] is not None:
                values[place] = datetime.fromisoformat(values[place])
        given.append({name: value for (name, _), value in zip(columns, values, strict=True)})
    if given:
        connection.execute(into.insert(), given)


def count_on(connection: Connection) -> None:
    """Lets a server count its numbered rows on from what was entered; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for one in tables():
        for key in one.primary_key.columns:
            if key.autoincrement is True:
                query = (
                    f"SELECT setval(pg_get_serial_sequence('{one.name}', '{key.name}'), "  # noqa: S608
                    f"coalesce(max({key.name}), 1), max({key.name}) IS NOT NULL) FROM {one.name}"
                )
                connection.execute(text(query))


def named_objects(connection: Connection) -> Iterator[str]:
    """The key of every object that a row names; some come more than once."""
    for query in (
        select(Recording.object_key).where(Recording.purged_at.is_(None)),
        select(Artifact.object_key),
        select(JobFile.object_key),
    ):
        yield from connection.scalars(query.execution_options(yield_per=_ROWS_AT_ONCE))
    for files in (
        select(ModelVersion.files).where(ModelVersion.deleted_at.is_(None)),
        select(DatasetVersion.files),
    ):
        for some in connection.scalars(files):
            yield from (str(file["key"]) for file in some)
    shards = select(DatasetShard.sha256).execution_options(yield_per=_ROWS_AT_ONCE)
    for sha256 in connection.scalars(shards):
        yield from (dataset_shard_key(sha256), dataset_sidecar_key(sha256))
    plans = set(connection.scalars(select(CollectionPlan.plan_sha256)))
    for spec in connection.scalars(select(Job.spec).where(Job.kind == "prepare")):
        if plan := spec.get("plan_sha256"):
            plans.add(plan)
    yield from (dataset_plan_key(sha256) for sha256 in sorted(plans))


def _rows_to_keep(of: Table, *, with_secrets: bool) -> Select[Any] | None:
    query = select(of).order_by(*_order(of))
    if of is Upload.__table__:
        # Parts of what was never whole are not in a backup, so that it is begun anew.
        return query.where(Upload.finished_at.is_not(None))
    if with_secrets:
        return query
    if of in _SECRET_TABLES:
        return None
    if of is WebhookDelivery.__table__:
        return query.where(WebhookDelivery.next_attempt_at.is_(None))  # what waits could not be signed
    return query


def _order(of: Table) -> Iterable[Column[Any]]:
    # Versions name the version that they began with, which is older.
    first = (of.c.created_at,) if of is ModelVersion.__table__ else ()
    return (*first, *of.primary_key.columns)


def _kind(of: Column[Any]) -> str:
    if isinstance(of.type, UtcDateTime):
        return _TIME
    return _JSON if isinstance(of.type, JSON) else _PLAIN


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, enum.Enum) else value


def _clause(name: str, columns: Sequence[tuple[str, str]]) -> TableClause:
    types: Mapping[str, TypeEngine[Any]] = {
        _TIME: UtcDateTime(),
        _JSON: JSON(none_as_null=True),
        _PLAIN: NullType(),
    }
    return table(name, *(column(one, types.get(kind, NullType())) for one, kind in columns))
