"""Labels of a job changed after it was made: words of its owner's, which decide nothing."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.claims.moves import hold_job
from core.jobs import check_labels
from core.ledger.database import now
from core.ledger.tables import Job, Transition
from core.people import audit


def put_label(session: Session, job_id: str, name: str, value: str | None, *, actor: str) -> Job:
    """Puts one label on a job, in whatever state, or takes it away.

    The change is recorded among the job's moves, so that every page that watches the job shows it.

    Args:
        value: None takes the label away.

    Raises:
        InvalidRequest: the name or the value cannot be kept, or the job has too many labels already.
    """
    job = hold_job(session, job_id)
    before = dict(job.labels or {})
    labels = {one: text for one, text in before.items() if one != name.strip()}
    if value is not None:
        labels[name] = value
    labels = check_labels(labels)
    if labels == before:
        return job
    job.labels = labels
    state = job.state.value
    reason = f"label {name.strip()}" if value is not None else f"label {name.strip()} taken away"
    session.add(Transition(job_id=job.id, old=state, new=state, actor=actor, reason=reason, at=now(session)))
    audit.record(session, actor=actor, action="job.label", subject=job.id, details={"name": name.strip()})
    session.flush()
    return job
