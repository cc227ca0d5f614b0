"""Statements over many rows at once: rows of this process stand in a statement as a table named `rows`.

The ledger writes a dozen small rows for every item. One execution or one object of the ORM for each of them costs
several times what the database itself needs. Here a statement is written with SQLAlchemy and compiled once; the values
go to the driver as they are, as `VALUES` on SQLite and as one array for each column on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, cast

from sqlalchemy import ClauseElement, CursorResult, Dialect, FromClause, Table, column, table
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

# SQLite takes 32,766 values in one statement, and beyond this many rows nothing more is saved.
_ROWS_AT_ONCE = 1000


def table_of(entity: type) -> Table:
    """The table of a mapped class, for statements that know nothing of its objects."""
    return cast(Table, cast(Any, entity).__table__)


class OverRows:
    """A statement that reads a table `rows`, whose content is given when it runs.

    Args:
        columns: of that table, in the order of the values.
        build: makes the statement from the table and the name of the SQL dialect.
    """

    def __init__(
        self, columns: dict[str, TypeEngine[Any]], build: Callable[[FromClause, str], ClauseElement]
    ) -> None:
        self._columns = columns
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def count(self, session: Session, rows: Sequence[tuple[Any, ...]], **given: object) -> int:
        """Executes it in the session's transaction; answers how many rows it wrote.

        Args:
            rows: the content of `rows`: strings and numbers as the driver takes them, or None.
            given: the other parameters of the statement, by name.
        """
        return sum(result.rowcount for result in self._run(session, rows, given))

    def first_column(self, session: Session, rows: Sequence[tuple[Any, ...]], **given: object) -> list[Any]:
        """Executes it in the session's transaction; answers the first column of what it returns."""
        return [row[0] for result in self._run(session, rows, given) for row in result]

    def _run(
        self, session: Session, rows: Sequence[tuple[Any, ...]], given: dict[str, object]
    ) -> Iterator[CursorResult[Any]]:
        connection = session.connection()
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            rows_table = table("rows", *(column(name, kind) for name, kind in self._columns.items()))
            compiled = _Compiled(self._build(rows_table, dialect.name), self._columns, dialect)
            self._compiled[dialect.name] = compiled
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            yield connection.exec_driver_sql(
                *compiled.text_and_values(rows[first : first + _ROWS_AT_ONCE], given)
            )


class _Compiled:
    """A statement in the words of one dialect."""

    def __init__(
        self, statement: ClauseElement, columns: dict[str, TypeEngine[Any]], dialect: Dialect
    ) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self._compiled = compiled
        self._text = str(compiled)
        self._processors = {
            name: processor
            for bind, name in compiled.bind_names.items()
            if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self._head = f"WITH rows ({', '.join(columns)}) AS "
        self._line = f"({','.join('?' * len(columns))})"
        self._arrays = [f"rows_{name}" for name in columns]
        kinds = [kind.compile(dialect) for kind in columns.values()]
        arrays = (f"%({name})s::{kind}[]" for name, kind in zip(self._arrays, kinds, strict=True))
        self._unnested = f"(SELECT * FROM unnest({', '.join(arrays)}))"  # noqa: S608 - names and types of ours

    def text_and_values(
        self, rows: Sequence[tuple[Any, ...]], given: dict[str, object]
    ) -> tuple[str, tuple[Any, ...] | dict[str, Any]]:
        values = self._compiled.construct_params(given)
        values.update({name: process(values[name]) for name, process in self._processors.items()})
        if self._compiled.positional:
            lines = ",".join([self._line] * len(rows))
            in_order = (values[name] for name in self._compiled.positiontup or ())
            return f"{self._head}(VALUES {lines}) {self._text}", (*chain.from_iterable(rows), *in_order)
        lists = zip(self._arrays, map(list, zip(*rows, strict=True)), strict=True)
        return f"{self._head}{self._unnested} {self._text}", {**values, **dict(lists)}
