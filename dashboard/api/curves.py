"""How a program does: where it stands and its curves."""

from __future__ import annotations

import json
import math

from flask import Response

from core.errors import NotFound
from core.ledger.training_tables import TrainingProgress
from core.queries import get_job
from core.specs import PROGRAM_KINDS
from core.states import JOB_FINAL
from core.training.curves import read_curves
from core.training.queries import (
    file_of,
    list_evaluations,
    progress_of,
    trained_models,
)
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import JobPath
from dashboard.api.watching_schemas import (
    CurveColumns,
    CurvesQuery,
    CurvesView,
    EpochColumns,
    ProgressView,
    TrainingView,
)
from dashboard.identity import viewer
from dashboard.services import services

api = api_blueprint("curves", "How a training, an evaluation or an analysis does.")


@api.get("/jobs/<job_id>/training", responses={200: TrainingView})
def training(path: JobPath) -> Response:
    """Where the program of a job stands, and what it ended with."""
    user = viewer()
    with services().database.read() as session:
        job = get_job(session, user, path.job_id)
        if job.kind not in PROGRAM_KINDS:
            raise NotFound("This job is no training, evaluation or analysis.")
        progress = progress_of(session, job.id)
        view = TrainingView(
            job=job.id,
            kind=job.kind,
            state=job.state,
            spec=job.spec,
            progress=progress_view(progress) if progress else None,
            result=None,
            models=[model.label for model in trained_models(session, job.id)],
            evaluations=[row.evaluation.id for row in list_evaluations(session, user, job_id=job.id)],
        )
        try:
            result = file_of(session, job.id, "result.json") if job.state in JOB_FINAL else None
        except NotFound:
            result = None
    if result is not None:
        view.result = json.loads(services().store.get(result.object_key))
    return answer(view)


@api.get("/jobs/<job_id>/curves", responses={200: CurvesView})
def curves(path: JobPath, query: CurvesQuery) -> Response:
    """The curves of a training, as columns. Long ones are thinned out and keep their extremes."""
    with services().database.read() as session:
        job = get_job(session, viewer(), path.job_id)
        found = read_curves(session, job.id, after=query.after, points=query.points)
    return answer(
        CurvesView.model_construct(
            series={
                name: CurveColumns.model_construct(
                    steps=curve.steps,
                    values=[value if math.isfinite(value) else None for value in curve.values],
                )
                for name, curve in found.series.items()
            },
            epochs=EpochColumns.model_construct(steps=found.epochs.steps, epochs=found.epochs.values),
            next=query.after if found.last_step is None else max(query.after, found.last_step - 1),
            thinned=found.thinned,
        )
    )


def progress_view(progress: TrainingProgress) -> ProgressView:
    return ProgressView(**{name: getattr(progress, name) for name in ProgressView.model_fields})
