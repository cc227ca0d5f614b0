"""The file name of each face in a page of items, the very one it has in `faces.zip` and `results.csv`.

A name depends on the names given before it (`talk.png`, `talk-2.png`), so a page in the middle needs all items before
it to be named. What was named once is kept for the jobs that were asked for last: items are never added to a job, and
never renamed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy.orm import Session

from core.faces.exports import RESERVED
from core.names import FileNames
from core.queries import ItemRow, item_names
from core.states import ITEM_WITH_FACE

_ENDING = ".png"
# Names kept in all, a tenth of a kilobyte each. The job that is being asked for is kept whatever its size.
_MOST_NAMES = 300_000


class FaceNames:
    """Names faces. Safe to use from several threads."""

    def __init__(self, most_names: int = _MOST_NAMES) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, _Named] = OrderedDict()
        self._most = most_names

    def of(self, session: Session, job_id: str, rows: Sequence[ItemRow]) -> dict[int, str]:
        """Args:
            rows: some items of the job, in any order.

        Returns:
            for the id of each item with a face, its file name.
        """
        faces = [row for row in rows if has_face(row)]
        if not faces:
            return {}
        with self._lock:
            named = self._jobs.setdefault(job_id, _Named())
            self._jobs.move_to_end(job_id)
        given = named.until(session, job_id, max(row.position for row in faces))
        with self._lock:
            while len(self._jobs) > 1 and sum(len(one.given) for one in self._jobs.values()) > self._most:
                self._jobs.popitem(last=False)
        return {row.id: given[row.position] for row in faces}


class _Named:
    """The names of a job's faces from its first item on, as far as anybody asked."""

    def __init__(self) -> None:
        self.given: dict[int, str] = {}  # by position
        self._last = -1
        self._names = FileNames()
        self._lock = threading.Lock()
        for reserved in RESERVED:
            self._names.take(reserved, _ENDING)

    def until(self, session: Session, job_id: str, position: int) -> dict[int, str]:
        with self._lock:
            if position > self._last:
                for at, name in item_names(session, job_id, after=self._last, until=position):
                    self.given[at] = self._names.take(name, _ENDING)
                    self._last = at
        return self.given


def has_face(row: ItemRow) -> bool:
    return row.state in ITEM_WITH_FACE and row.face_key is not None
