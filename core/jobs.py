"""Jobs as people change them: create, cancel, pause, resume, retry. Reading lives in `core/queries.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    and_,
    insert,
    literal,
    select,
    true,
)
from sqlalchemy.orm import Session

from core.claims.moves import hold_job, move_items, move_job, settle_job
from core.claims.outbox import ring
from core.errors import Conflict, InvalidRequest
from core.identifiers import new_id
from core.ledger.database import now
from core.ledger.schedule_tables import JobWebhook
from core.ledger.tables import Item, Job, Transition
from core.models.registry import input_of, resolve_model
from core.new_items import count_sent, enter_items, row_of
from core.people import audit
from core.people.quotas import Limit, require_room
from core.specs import PROGRAM_KINDS, InferSpec, NewItem, PrepareSpec
from core.states import (
    ITEM_RETRYABLE,
    JOB_CLAIMABLE,
    JOB_FINAL,
    JOB_RETRYABLE,
    ItemState,
    JobState,
)
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec

MOST_LABELS = 16
LONGEST_LABEL_NAME = 64
LONGEST_LABEL = 500
_WORDS = {"voice": "recording", "face": "picture"}


def create_job(
    session: Session,
    *,
    owner_id: str,
    spec: InferSpec,
    items: Sequence[NewItem],
    name: str = "",
    queue: str = "gpu",
    priority: int = 0,
    idempotency_key: str | None = None,
    max_items: int = 100_000,
    labels: Mapping[str, str] | None = None,
    rerun_of: str | None = None,
    webhook: tuple[str, str] | None = None,
) -> Job:
    """Writes the job, its items and its doorbell in the caller's transaction.

    The same owner and idempotency key bring back the job that was made first.

    Args:
        labels: the owner's own words about it, such as `{"project": "radio"}`.
        rerun_of: the job whose recordings it took over.
        webhook: where to tell of its end, and the secret that signs the note.

    Raises:
        InvalidRequest: no items, too many, a key used twice, a recording its owner never sent, a
            model that is unknown or cannot draw, or labels that are too many or too long.
        QuotaExceeded: its owner would go over a limit.
    """
    earlier = job_of_key(session, owner_id, idempotency_key)
    if earlier is not None:
        return earlier
    kept = check_labels(labels or {})
    _check_items(session, owner_id, items, max_items)
    model = resolve_model(session, spec.model)
    drawn_from = input_of(model)
    if drawn_from is None:
        raise InvalidRequest(
            f"{model.label} draws nothing by itself. Put an encoder and a decoder together first: "
            "voicesketch models pair --encoder E --decoder D --name NAME"
        )
    at = now(session)
    job = enter_job(
        session,
        spec=spec,
        owner_id=owner_id,
        name=name or f"{len(items)} {_WORDS[drawn_from]}{'s' if len(items) != 1 else ''}",
        queue=queue,
        priority=priority,
        model_version_id=model.id,
        idempotency_key=idempotency_key,
        at=at,
        recordings=len(items),
    )
    job.labels = kept
    job.rerun_of = rerun_of
    if webhook is not None:
        session.add(JobWebhook(job_id=job.id, url=webhook[0], secret=webhook[1]))
    enter_items(session, job, [row_of(number, item) for number, item in enumerate(items)], at=at)
    job.total = len(items)
    job.failed = sum(item.recording is None for item in items)
    job.pending = len(items) - job.failed
    if job.failed:
        _record_born_failed(session, job, at)
    queue_job(session, job, at=at)
    return job


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as they are kept: spaces around names and values gone, in the order of their names.

    Raises:
        InvalidRequest: too many of them, a name that is empty, or one that is too long.
    """
    if len(labels) > MOST_LABELS:
        raise InvalidRequest(f"A job takes at most {MOST_LABELS} labels; this one has {len(labels)}.")
    kept: dict[str, str] = {}
    for given, value in labels.items():
        name = given.strip()
        if not name or len(name) > LONGEST_LABEL_NAME or any(sign in name for sign in "=\0\n"):
            raise InvalidRequest(
                f"{given[:80]!r} cannot name a label: use 1 to {LONGEST_LABEL_NAME} characters, and no '='."
            )
        if len(value) > LONGEST_LABEL or "\0" in value:
            raise InvalidRequest(f"The label {name!r} is too long: {LONGEST_LABEL} characters are the most.")
        if name in kept:
            raise InvalidRequest(f"The label {name!r} is given twice.")
        kept[name] = value.strip()
    return dict(sorted(kept.items()))


def job_of_key(session: Session, owner_id: str, idempotency_key: str | None) -> Job | None:
    """The job that this owner made with this key before."""
    if idempotency_key is None:
        return None
    return session.scalar(select(Job).where(Job.owner_id == owner_id, Job.idempotency_key == idempotency_key))


def enter_job(
    session: Session,
    *,
    spec: InferSpec | PrepareSpec | TrainSpec | EvaluateSpec | AnalyseSpec,
    owner_id: str,
    name: str,
    queue: str,
    priority: int,
    model_version_id: str | None,
    idempotency_key: str | None,
    at: datetime,
    recordings: int = 0,
) -> Job:
    """Writes a job that has no items yet and is being validated.

    Args:
        recordings: how many it will draw from.

    Raises:
        QuotaExceeded: its owner would go over a limit.
    """
    require_room(session, owner_id, items=recordings)
    job = Job(
        id=new_id("job"),
        kind=spec.kind,
        owner_id=owner_id,
        name=name[:200],
        spec=spec.model_dump(mode="json"),
        queue=queue,
        priority=priority,
        model_version_id=model_version_id,
        idempotency_key=idempotency_key,
        state=JobState.VALIDATING,
        created_at=at,
        total=0,
        token=0,
        pending=0,
        leased=0,
        done=0,
        cached=0,
        failed=0,
        skipped=0,
        cancelled=0,
    )
    session.add(job)
    session.flush()
    session.add(Transition(job_id=job.id, old=None, new=JobState.VALIDATING.value, actor=owner_id, at=at))
    return job


def queue_job(session: Session, job: Job, *, at: datetime) -> None:
    """Lets workers have a job whose items are written and counted."""
    move_job(session, job, JobState.QUEUED, actor=job.owner_id, at=at)
    if not settle_job(session, job, actor=job.owner_id, at=at):
        ring(session, job, at=at)


def cancel_job(session: Session, job_id: str, *, actor: str) -> Job:
    """Asks a job to stop: what waits is cancelled now, what is on a device comes to an end within seconds.

    Asking twice changes nothing.

    Raises:
        Conflict: the job has already ended.
    """
    job = hold_job(session, job_id)
    if job.state in (JobState.CANCELLING, JobState.CANCELLED):
        return job
    if job.state in JOB_FINAL:
        raise Conflict(f"This job has already ended ({job.state.value}); there is nothing to cancel.")
    at = now(session)
    job.cancel_requested_at = at
    move_job(session, job, JobState.CANCELLING, actor=actor, at=at)
    move_items(session, job, Item.state == ItemState.PENDING, ItemState.CANCELLED, actor=actor, at=at)
    settle_job(session, job, actor=actor, at=at)
    return job


def pause_job(session: Session, job_id: str, *, actor: str) -> Job:
    """Nothing more is claimed from the job until it is resumed; what is on a device is finished."""
    job = hold_job(session, job_id)
    if job.state is JobState.PAUSED:
        return job
    if job.state not in JOB_CLAIMABLE:
        raise Conflict(f"A job that is {job.state.value} cannot be paused.")
    move_job(session, job, JobState.PAUSED, actor=actor, at=now(session))
    return job


def resume_job(session: Session, job_id: str, *, actor: str) -> Job:
    job = hold_job(session, job_id)
    if job.state in JOB_CLAIMABLE:
        return job
    if job.state is not JobState.PAUSED:
        raise Conflict(f"A job that is {job.state.value} cannot be resumed.")
    at = now(session)
    move_job(session, job, JobState.QUEUED, actor=actor, at=at)
    if not settle_job(session, job, actor=actor, at=at):
        ring(session, job, at=at)
    return job


def set_priority(session: Session, job_id: str, priority: int, *, actor: str) -> Job:
    """Changes when a job that has not ended has its turn; what is on a device already stays there.

    The change is recorded among the job's moves, so that every page that watches the job shows it.

    Raises:
        Conflict: the job has ended.
    """
    job = hold_job(session, job_id)
    if job.priority == priority:
        return job
    if job.state in JOB_FINAL:
        raise Conflict("This job has ended; its priority decides nothing any more.")
    reason = f"priority {job.priority} to {priority}"
    job.priority = priority
    state = job.state.value
    session.add(Transition(job_id=job.id, old=state, new=state, actor=actor, reason=reason, at=now(session)))
    audit.record(session, actor=actor, action="job.priority", subject=job.id, details={"priority": priority})
    session.flush()
    return job


def retry_job(
    session: Session,
    job_id: str,
    *,
    actor: str,
    which: Literal["failed", "cancelled", "unfinished"] = "failed",
    item_ids: Sequence[int] | None = None,
    error_code: str | None = None,
) -> int:
    """Puts items of a finished job back in the queue; faces that exist are left alone. Answers how many.

    Args:
        which: items that failed, that were cancelled, or both.
        item_ids: only these of them.
        error_code: only those that failed of this.

    Raises:
        Conflict: the job still runs, or has nothing of the kind.
        QuotaExceeded: of the owner who asks for it; others who may do so are not held up by that.
    """
    job = hold_job(session, job_id)
    if job.state not in JOB_FINAL:
        raise Conflict("This job is still at work; retry once it has ended.")
    if job.state not in JOB_RETRYABLE:
        raise Conflict("Everything in this job went well; there is nothing to retry.")
    if job.kind == "prepare" or job.kind in PROGRAM_KINDS:
        which, item_ids, error_code = (
            "unfinished",
            None,
            None,
        )  # a dataset or a model is made of all its parts, or not at all
    states = {
        "failed": {ItemState.FAILED},
        "cancelled": {ItemState.CANCELLED},
        "unfinished": set(ITEM_RETRYABLE),
    }[which]
    chosen: ColumnElement[bool] = Item.id.in_(item_ids) if item_ids is not None else true()
    if error_code is not None:
        chosen = and_(chosen, Item.error_code == error_code)
    # Items that never came with a recording have nothing to try again.
    possible = Item.recording_sha256.is_not(None) if job.kind == "infer" else true()
    at = now(session)
    moved = move_items(
        session,
        job,
        Item.state.in_(states) & possible & chosen,
        ItemState.PENDING,
        actor=actor,
        at=at,
        values={"error_code": None, "error_message": None, "lost": 0, "attempt_id": None, "seconds": None},
    )
    if not moved:
        raise Conflict("This job has nothing of that kind to retry.")
    if actor == job.owner_id:
        # The job has ended so far, so its items are not yet among those that wait.
        items = moved if job.kind == "infer" else 0
        require_room(session, actor, items=items, looked_at=(Limit.JOBS_AT_ONCE, Limit.ITEMS_AT_ONCE))
    move_job(session, job, JobState.QUEUED, actor=actor, at=at, reason=f"retry {moved} items")
    ring(session, job, at=at)
    return moved


def too_many(items: int, max_items: int) -> InvalidRequest:
    """What whoever wants a job of more recordings than one may have is told."""
    return InvalidRequest(f"A job takes at most {max_items:,} recordings; this one has {items:,}. Split it.")


def _check_items(session: Session, owner_id: str, items: Sequence[NewItem], max_items: int) -> None:
    if not items:
        raise InvalidRequest("There is no recording in this job: add at least one.")
    if len(items) > max_items:
        raise too_many(len(items), max_items)
    seen: set[str] = set()
    for number, item in enumerate(items, start=1):
        if item.key in seen:
            raise InvalidRequest(f"Item {number}: the key {item.key!r} is used twice; keys must differ.")
        seen.add(item.key)
        if item.recording is None and item.error_code is None:
            raise InvalidRequest(f"Item {number} ({item.key!r}) has neither a recording nor an error_code.")
    wanted = {item.recording for item in items if item.recording is not None}
    known = count_sent(session, owner_id, wanted)
    if known != len(wanted):
        raise InvalidRequest(f"{len(wanted) - known} of the recordings are not here: send them first.")


def _record_born_failed(session: Session, job: Job, at: datetime) -> None:
    session.execute(
        insert(Transition).from_select(
            ["job_id", "item_id", "new", "actor", "reason", "at"],
            select(
                Item.job_id,
                Item.id,
                Item.state,
                literal(job.owner_id),
                Item.error_code,
                literal(at, Transition.at.type),
            )
            .where(Item.job_id == job.id, Item.state == ItemState.FAILED)
            .order_by(Item.id),
        )
    )
