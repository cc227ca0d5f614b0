"""Walking all items of a job without holding a transaction, however slowly somebody reads what comes of it.

An open read transaction keeps SQLite from tidying its log, and a download may take an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.ledger.database import Database
from core.queries import ItemRow, items_page

_ROWS_AT_ONCE = 1000


def every_item(database: Database, job_id: str) -> Iterator[ItemRow]:
    after = -1
    while True:
        with database.read() as session:
            rows = items_page(session, job_id, after=after, limit=_ROWS_AT_ONCE)
        if not rows:
            return
        yield from rows
        after = rows[-1].position
