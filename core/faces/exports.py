"""A job's results as people take them away: the table of all its lines, and the file name of each face."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from core.errors import NotFound
from core.ledger.database import Database
from core.ledger.mark_tables import FaceMark
from core.ledger.tables import Item
from core.names import FileNames
from core.queries import ItemRow, items_by_id
from core.states import ITEM_WITH_FACE, ItemState
from core.submitting.result_folder import COLUMNS as COLUMNS
from core.submitting.result_folder import RESERVED as RESERVED
from core.submitting.result_folder import Result as Result
from core.submitting.result_folder import csv_lines as csv_lines
from core.submitting.result_folder import json_line as json_line

_NAMES_AT_ONCE = 2000
_ROWS_AT_ONCE = 500


def results(rows: Iterable[ItemRow], model_version: str) -> Iterator[tuple[ItemRow, Result]]:
    """Names every face of a job; the same rows always get the same names."""
    names = face_names()
    for row in rows:
        # Taken for every line, face or not: a download in mid-job and one at its end agree on every name.
        yield row, _result(row, names.take(row.name, ".png"), model_version)


@dataclass(frozen=True)
class Choice:
    """Which items of a job are wanted; what is not given does not narrow it.

    Attributes:
        items: ids.
        states: states they are in.
        favourites: only those that somebody starred.
    """

    items: Collection[int] | None = None
    states: Collection[ItemState] = ()
    favourites: bool = False

    @property
    def is_all(self) -> bool:
        return self.items is None and not self.states and not self.favourites


def check_items(database: Database, job_id: str, item_ids: Collection[int]) -> None:
    """Makes sure that all of them are items of the job.

    Raises:
        NotFound: one is not.
    """
    wanted = sorted(set(item_ids))
    with database.read() as session:
        for first in range(0, len(wanted), _ROWS_AT_ONCE):
            some = wanted[first : first + _ROWS_AT_ONCE]
            # Ids beyond what a column holds would be an error of the database.
            known = session.scalar(
                select(func.count()).where(
                    Item.job_id == job_id, Item.id.in_([one for one in some if 0 < one < 2**63])
                )
            )
            if known != len(some):
                raise NotFound("Some of these items are not in this job. Read its items again.")


def chosen_results(
    database: Database, job_id: str, model_version: str, choice: Choice
) -> Iterator[tuple[ItemRow, Result]]:
    """The chosen lines of a job, in its order, each face under the very name that it has among all of them.

    No transaction is open between two answers, however slowly they are read.
    """
    wanted = None if choice.items is None else set(choice.items)
    if choice.favourites:
        with database.read() as session:
            starred = set(
                session.scalars(select(FaceMark.item_id).where(FaceMark.job_id == job_id, FaceMark.favourite))
            )
        wanted = starred if wanted is None else wanted & starred
    states = set(choice.states)
    names = face_names()
    after, left = -1, None if wanted is None else len(wanted)
    while left is None or left > 0:
        with database.read() as session:
            page = session.execute(
                select(Item.id, Item.position, Item.name, Item.state)
                .where(Item.job_id == job_id, Item.position > after)
                .order_by(Item.position)
                .limit(_NAMES_AT_ONCE)
            ).all()
        if not page:
            return
        after = page[-1].position
        taken = {}
        for row in page:
            name = names.take(row.name, ".png")
            if wanted is not None and row.id not in wanted:
                continue
            left = None if left is None else left - 1
            if not states or row.state in states:
                taken[row.id] = name
        ids = list(taken)
        for first in range(0, len(ids), _ROWS_AT_ONCE):
            with database.read() as session:
                found = items_by_id(session, job_id, ids[first : first + _ROWS_AT_ONCE])
            for item in found:
                yield item, _result(item, taken[item.id], model_version)


def face_names() -> FileNames:
    """Names for faces; those of other files beside them are taken already."""
    names = FileNames()
    for reserved in RESERVED:
        names.take(reserved, ".png")
    return names


def _result(row: ItemRow, face: str, model_version: str) -> Result:
    has_face = row.state in ITEM_WITH_FACE and row.face_key is not None
    return Result(
        recording=row.name,
        key=row.key,
        state=row.state.value,
        error_code=row.error_code or "",
        error_message=row.error_message or "",
        model_version=model_version,
        seconds=row.seconds,
        face=face if has_face else "",
    )
