"""Stars and notes as parts of live streams: who has a gallery open sees what others mark."""

from __future__ import annotations

import json
from datetime import datetime

from core.faces.marks import marked_since
from core.ledger.database import Database, now
from core.ledger.tables import Job, User
from core.queries import visible_to
from dashboard.api.views import mark_view

_AT_ONCE = 200


class MarkNews:
    """Tells every mark once: those of one job, or of all jobs that the user may see."""

    def __init__(self, database: Database, user: User, job_id: str | None = None) -> None:
        self._database = database
        self._jobs = visible_to(user) if job_id is None else visible_to(user) & (Job.id == job_id)
        with database.read() as session:
            self._since = now(session)
        self._told: set[tuple[int, datetime]] = set()

    def read(self) -> str:
        """What is new since the last reading, as an event `marks` without an id; nothing where nothing is."""
        with self._database.read() as session:
            found = marked_since(session, self._since, jobs=self._jobs, limit=_AT_ONCE + 1)
        new = [mark for mark in found if (mark.item_id, mark.at) not in self._told]
        self._told = {(mark.item_id, mark.at) for mark in found}
        if not new:
            return ""
        self._since = max(self._since, found[0].at)
        data = [
            {"job": mark.job_id, "item": mark.item_id, "mark": mark_view(mark).model_dump(mode="json")}
            for mark in new[:_AT_ONCE]
        ]
        body = json.dumps({"data": data, "more": len(found) > _AT_ONCE})
        return f"event: marks\ndata: {body}\n\n"
