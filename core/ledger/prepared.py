"""Statements that are compiled once and then go straight to the driver, over many rows at a time where there are many.

The ledger writes a dozen small rows for every item. One execution or one object of the ORM for each of them costs
several times what the database itself needs, and so does building a statement anew for every claim. Those of the hot
path are written with SQLAlchemy as all others are, and take this shorter way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast

from sqlalchemy import ClauseElement, CursorResult, Dialect, Float, FromClause, Table, column, table
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

# SQLite takes 32,766 values in one statement, and beyond this many rows nothing more is saved.
_ROWS_AT_ONCE = 1000


def table_of(entity: type) -> Table:
    """The table of a mapped class, for statements that know nothing of its objects."""
    return cast(Table, cast(Any, entity).__table__)


class Prepared:
    """A statement with parameters. Rows come back as the driver has them: it is for strings and numbers only."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, session: Session, **given: object) -> list[tuple[Any, ...]]:
        """Executes it in the session's transaction, which does not flush for it; answers what it returns."""
        return [tuple(row) for row in self._run(session, given)]

    def count(self, session: Session, **given: object) -> int:
        """Executes it in the session's transaction, which does not flush for it; answers how many rows it wrote."""
        return self._run(session, given).rowcount

    def _run(self, session: Session, given: dict[str, object]) -> CursorResult[Any]:
        connection = session.connection()
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        values = compiled.values(given)
        is_sqlite = dialect.name == "sqlite"
        return connection.exec_driver_sql(compiled.text, compiled.in_order(values) if is_sqlite else values)


class OverRows:
    """A statement that reads a table `rows`, whose content is given when it runs.

    It stands in the statement as `VALUES` on SQLite, and as one array for each column on PostgreSQL.

    Args:
        columns: of that table, in the order of the values.
        build: makes the statement from the table and the name of the SQL dialect.
    """

    def __init__(
        self, columns: Mapping[str, TypeEngine[Any]], build: Callable[[FromClause, str], ClauseElement]
    ) -> None:
        self._columns = dict(columns)
        self._build = build
        self._compiled: dict[str, _CompiledOverRows] = {}

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
            source = table("rows", *(column(name, kind) for name, kind in self._columns.items()))
            compiled = _CompiledOverRows(self._build(source, dialect.name), self._columns, dialect)
            self._compiled[dialect.name] = compiled
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            yield connection.exec_driver_sql(*compiled.text_and_values(some, given))


class _Compiled:
    """A statement in the words of one dialect."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self._compiled = compiled
        self._order = tuple(compiled.positiontup or ())
        self._processors = {
            name: processor
            for bind, name in compiled.bind_names.items()
            if (processor := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }

    def values(self, given: dict[str, object]) -> dict[str, Any]:
        """Parameters by name, as the driver takes them."""
        values = dict(self._compiled.construct_params(given))
        values.update({name: process(values[name]) for name, process in self._processors.items()})
        return values

    def in_order(self, values: dict[str, Any]) -> tuple[Any, ...]:
        """The same by position, where the driver wants that."""
        return tuple(values[name] for name in self._order)


class _CompiledOverRows(_Compiled):
    def __init__(
        self, statement: ClauseElement, columns: Mapping[str, TypeEngine[Any]], dialect: Dialect
    ) -> None:
        super().__init__(statement, dialect)
        self._is_sqlite = dialect.name == "sqlite"
        self._head = f"WITH rows ({', '.join(columns)}) AS "
        self._line = f"({','.join('?' * len(columns))})"
        self._arrays = [f"rows_{name}" for name in columns]
        self._floats = [isinstance(kind, Float) for kind in columns.values()]
        kinds = [kind.compile(dialect) for kind in columns.values()]
        arrays = (f"%({name})s::{kind}[]" for name, kind in zip(self._arrays, kinds, strict=True))
        self._unnested = f"(SELECT * FROM unnest({', '.join(arrays)}))"  # noqa: S608 - names and types of ours

    def text_and_values(
        self, rows: Sequence[tuple[Any, ...]], given: dict[str, object]
    ) -> tuple[str, tuple[Any, ...] | dict[str, Any]]:
        values = self.values(given)
        if self._is_sqlite:
            lines = ",".join([self._line] * len(rows))
            return (
                f"{self._head}(VALUES {lines}) {self.text}",
                (*chain.from_iterable(rows), *self.in_order(values)),
            )
        # The driver takes no list in which 1 stands beside 0.5.
        lists = (
            (name, [None if one is None else float(one) for one in several] if is_float else list(several))
            for name, is_float, several in zip(
                self._arrays, self._floats, zip(*rows, strict=True), strict=True
            )
        )
        return f"{self._head}{self._unnested} {self.text}", {**values, **dict(lists)}
