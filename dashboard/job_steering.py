"""One change of many jobs at once, for the list and for scripts: each job in a transaction of its own.

What cannot be done to one of them is told for that one, and keeps nothing of the others from being done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotAllowed, NotFound, QuotaExceeded
from core.jobs import cancel_job, pause_job, resume_job, retry_job
from core.labels import put_label
from core.ledger.tables import Job, User
from core.queries import get_job
from dashboard.permissions import require_change
from dashboard.services import services

Action = Literal["pause", "resume", "cancel", "retry", "label", "unlabel"]
ACTIONS: tuple[Action, ...] = get_args(Action)
MOST_JOBS = 200


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        job: as it is now; None where it was not changed.
        refused: why it was not.
    """

    id: str
    job: Job | None
    refused: Conflict | NotAllowed | NotFound | InvalidRequest | QuotaExceeded | None = None


def steer(user: User, ids: Sequence[str], action: Action, label: str = "") -> list[Outcome]:
    """Does the same to each of the jobs, in the order given.

    Args:
        label: `name=value` for `label`, the name for `unlabel`.

    Raises:
        InvalidRequest: more than `MOST_JOBS`, none, or no label where one is needed.
    """
    if not ids:
        raise InvalidRequest("No job was chosen.")
    if len(ids) > MOST_JOBS:
        raise InvalidRequest(f"At most {MOST_JOBS} jobs are changed at once; these are {len(ids)}.")
    if action in ("label", "unlabel") and not label.partition("=")[0].strip():
        raise InvalidRequest("Say which label: write it as name=value.")
    outcomes = []
    for job_id in dict.fromkeys(ids):
        try:
            with services().database.write() as session:
                require_change(user, get_job(session, user, job_id))
                job = _change(session, user, job_id, action, label)
            outcomes.append(Outcome(job_id, job))
        except (Conflict, NotAllowed, NotFound, InvalidRequest, QuotaExceeded) as error:
            outcomes.append(Outcome(job_id, None, error))
    return outcomes


def _change(session: Session, user: User, job_id: str, action: Action, label: str) -> Job:
    match action:
        case "pause":
            return pause_job(session, job_id, actor=user.id)
        case "resume":
            return resume_job(session, job_id, actor=user.id)
        case "cancel":
            return cancel_job(session, job_id, actor=user.id)
        case "retry":
            retry_job(session, job_id, actor=user.id, which="unfinished")
            return get_job(session, user, job_id)
        case "label":
            name, _, value = label.partition("=")
            return put_label(session, job_id, name, value, actor=user.id)
        case "unlabel":
            return put_label(session, job_id, label.partition("=")[0], None, actor=user.id)
