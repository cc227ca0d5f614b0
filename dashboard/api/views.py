"""Rows of the ledger as the API shows them."""

from __future__ import annotations

from typing import Any

from flask import current_app
from sqlalchemy.orm import Session

from core.costs import Cost, cost_of, prices_of
from core.datasets.queries import dataset_label
from core.ledger.mark_tables import FaceMark
from core.ledger.tables import Job
from core.queries import ItemRow, errors_by_code, eta_seconds, job_input, model_label, owner_name
from core.specs import PROGRAM_KINDS
from core.states import ITEM_WITH_FACE, JOB_FINAL
from core.training.queries import progress_of
from dashboard.api.schemas import (
    CostView,
    ErrorCount,
    ErrorView,
    ItemView,
    JobLinks,
    JobView,
    MarkView,
    RequestCounts,
)
from dashboard.services import services
from dashboard.translation import said


def job_view(session: Session, job: Job, *, with_errors: bool = False) -> JobView:
    """Args:
    with_errors: also count what its items failed of, and what it costs, which reads some of those items.
    """
    at_work = job.kind in PROGRAM_KINDS and job.state not in JOB_FINAL
    progress = progress_of(session, job.id) if at_work else None
    return JobView(
        id=job.id,
        kind=job.kind,
        name=job.name,
        state=job.state,
        model=model_label(session, job.model_version_id) or str(job.spec.get("model", "")),
        dataset=dataset_label(session, job),
        input=job_input(session, job),
        priority=job.priority,
        owner=owner_name(session, job.owner_id),
        labels=dict(job.labels or {}),
        rerun_of=job.rerun_of,
        request_counts=RequestCounts(
            total=job.total,
            pending=job.pending,
            leased=job.leased,
            done=job.done,
            cached=job.cached,
            failed=job.failed,
            skipped=job.skipped,
            cancelled=job.cancelled,
        ),
        # The rate of a job that has ended says how its last seconds went, which nobody asks.
        rate_per_second=None if job.state in JOB_FINAL or progress else job.rate_per_second,
        eta_seconds=progress.eta_seconds if progress else eta_seconds(job),
        created_at=job.created_at,
        queued_at=job.queued_at,
        started_at=job.started_at,
        paused_at=job.paused_at,
        cancel_requested_at=job.cancel_requested_at,
        finalizing_at=job.finalizing_at,
        finished_at=job.finished_at,
        purged_at=job.purged_at,
        error=ErrorView(code=job.error_code, message=said(job.error_message or ""))
        if job.error_code
        else None,
        errors=[ErrorCount(code=c, count=n, example=m) for c, n, m in errors_by_code(session, job.id)]
        if with_errors
        else None,
        gpu_seconds=job.gpu_seconds,
        cpu_seconds=job.cpu_seconds,
        cost=cost_view(cost_of(session, job, prices_of(services().settings))) if with_errors else None,
        links=_links(job.id),
    )


def cost_view(cost: Cost | None) -> CostView | None:
    if cost is None:
        return None
    return CostView(
        work=cost.work,
        per_thousand=cost.per_thousand,
        storage_a_month=cost.storage_a_month,
        currency=cost.currency,
        sentence=said(cost.sentence),
    )


def mark_view(mark: FaceMark) -> MarkView:
    return MarkView(favourite=mark.favourite, note=mark.note, by=mark.by, at=mark.at)


def item_view(job_id: str, row: ItemRow, face_name: str | None, mark: FaceMark | None = None) -> ItemView:
    has_face = row.state in ITEM_WITH_FACE and row.face_key is not None
    return ItemView(
        id=row.id,
        position=row.position,
        key=row.key,
        name=row.name,
        state=row.state,
        error=ErrorView(code=row.error_code, message=said(row.error_message or ""))
        if row.error_code
        else None,
        attempts=row.attempts,
        seconds=row.seconds,
        duration_seconds=row.duration_seconds,
        finished_at=row.finished_at,
        recording=row.recording_sha256,
        face_url=_item_url("files.face", job_id, row.id) if has_face else None,
        thumbnail_url=_item_url("files.thumbnail", job_id, row.id) if has_face else None,
        spectrogram_url=_item_url("files.spectrogram", job_id, row.id)
        if has_face and row.spectrogram_key
        else None,
        recording_url=_item_url("files.recording", job_id, row.id) if row.recording_key else None,
        mark=mark_view(mark) if mark else None,
        face_name=face_name if has_face else None,
    )


def _item_url(endpoint: str, job_id: str, item_id: int) -> str:
    return _path(endpoint, job_id=job_id, item_id=item_id)


def _links(job_id: str) -> JobLinks:
    return JobLinks(
        self=_path("jobs.show", job_id=job_id),
        html=_path("job_page.show", job_id=job_id),
        items=_path("items.page", job_id=job_id),
        events=_path("events.stream", job_id=job_id),
        results=_path("results.as_csv", job_id=job_id),
        faces=_path("results.as_zip", job_id=job_id),
    )


def _path(endpoint: str, **values: Any) -> str:
    # `url_for` wants a request, and a live stream writes long after its request was handled.
    return current_app.url_map.bind("").build(endpoint, values)
