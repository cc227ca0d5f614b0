"""What all tables of the ledger are made with: their base, and columns and indexes that both databases understand."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Enum, Index, Integer, MetaData, text
from sqlalchemy.orm import DeclarativeBase

from core.ledger.database import UtcDateTime

# SQLite counts rows in INTEGER only; PostgreSQL gets room for a few billion items.
BigId = BigInteger().with_variant(Integer, "sqlite")


def state_column(kind: type[enum.Enum]) -> Enum:
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=24,
        values_callable=lambda e: [m.value for m in e],
    )


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows for which a condition holds."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}
