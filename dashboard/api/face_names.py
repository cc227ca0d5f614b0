"""The file name of each face in a page of items, the very one it has in `faces.zip` and `results.csv`.

A name depends on the names given before it (`talk.png`, `talk-2.png`), so a page in the middle would have to name all
items before it. Whoever reads a job from its beginning asks for one page after the other: where one stopped is
remembered, so that this costs nothing. Anybody else pays for the walk.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy.orm import Session

from core.exports import RESERVED
from core.names import FileNames
from core.queries import ItemRow, item_names
from core.states import ITEM_WITH_FACE

_REMEMBERED = 4
_ENDING = ".png"


class FaceNames:
    """Names faces page by page. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped: OrderedDict[tuple[str, int], FileNames] = OrderedDict()

    def for_page(self, session: Session, job_id: str, after: int, rows: Sequence[ItemRow]) -> dict[int, str]:
        """Args:
            after: the position that the page begins behind.
            rows: all items from there on, in order and without gaps.

        Returns:
            for the id of each item with a face, its file name.
        """
        if not rows:
            return {}
        names = self._resume((job_id, after))
        if names is None:
            names = _names()
            if after >= 0:
                for _, name in item_names(session, job_id, until=after):
                    names.take(name, _ENDING)
        taken = {row.id: names.take(row.name, _ENDING) for row in rows}
        with self._lock:
            self._stopped[(job_id, rows[-1].position)] = names
            while len(self._stopped) > _REMEMBERED:
                self._stopped.popitem(last=False)
        return {row.id: taken[row.id] for row in rows if has_face(row)}

    def for_some(self, session: Session, job_id: str, rows: Sequence[ItemRow]) -> dict[int, str]:
        """The same for items with gaps between them, as a filter leaves them."""
        wanted = {row.position: row.id for row in rows if has_face(row)}
        if not wanted:
            return {}
        names, named = _names(), {}
        for position, name in item_names(session, job_id, until=max(wanted)):
            taken = names.take(name, _ENDING)
            if position in wanted:
                named[wanted[position]] = taken
        return named

    def _resume(self, stopped: tuple[str, int]) -> FileNames | None:
        # Taken out: two readers of the same page must not name into one another's list.
        with self._lock:
            return self._stopped.pop(stopped, None)


def has_face(row: ItemRow) -> bool:
    return row.state in ITEM_WITH_FACE and row.face_key is not None


def _names() -> FileNames:
    names = FileNames()
    for reserved in RESERVED:
        names.take(reserved, _ENDING)
    return names
