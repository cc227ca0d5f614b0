"""Asking for trainings, evaluations and analyses; watching them is in `curves.py`, `logs.py` and `job_files.py`."""

from __future__ import annotations

from flask import Response
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from core.errors import QuotaExceeded
from core.jobs import job_of_key
from core.ledger.tables import User
from core.queries import get_job
from core.slips import slip_words
from core.training.jobs import create_program_job, run_again
from core.training.presets import PRESETS
from core.training.requests import check_training
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import JobPath, JobView, NewJobHeaders, NewJobView, Problem
from dashboard.api.training_schemas import (
    Checked,
    CheckRequest,
    NewAnalysis,
    NewEvaluation,
    NewTraining,
    PresetList,
    PresetView,
    ProblemView,
)
from dashboard.api.views import job_view
from dashboard.end_notes import listener
from dashboard.identity import viewer
from dashboard.job_making import new_job_view
from dashboard.permissions import require_priority, require_trainer
from dashboard.services import services
from dashboard.translation import said

api = api_blueprint("trainings", "Training models, measuring them, and looking into them.")

# Names of the union's members, which pydantic puts into the places of slips and nobody wrote.
_TAGS = frozenset({"face_decoder", "ve_conv", "ast", "matching", "gan", "default"})


@api.post("/trainings", responses={201: NewJobView})
def train(header: NewJobHeaders, body: NewTraining) -> Response:
    """Train a model on a dataset version; register, measure and, where asked, promote it."""
    return _create(header, body, body.spec())


@api.post("/evaluations", responses={201: NewJobView})
def evaluate(header: NewJobHeaders, body: NewEvaluation) -> Response:
    """Measure a model on a part of a dataset version."""
    return _create(header, body, body.spec())


@api.post("/analyses", responses={201: NewJobView})
def analyse(header: NewJobHeaders, body: NewAnalysis) -> Response:
    """Show what a model makes of the voice, and what of the noise."""
    return _create(header, body, body.spec())


@api.get("/trainings/presets", responses={200: PresetList})
def presets() -> Response:
    """Recipes to start from."""
    viewer()
    return answer(
        PresetList(
            data=[
                PresetView(
                    name=preset.name,
                    title=preset.title,
                    sentence=preset.sentence,
                    recipe=preset.recipe.model_dump(mode="json"),
                    machine=preset.machine.model_dump(mode="json"),
                )
                for preset in PRESETS.values()
            ]
        )
    )


@api.post("/trainings/check", responses={200: Checked})
def check(body: CheckRequest) -> Response:
    """Whether a training could be started, with everything that is wrong, field by field. Nothing is started."""
    user = viewer()
    try:
        spec = NewTraining.model_validate(body.root).spec()
    except ValidationError as error:
        problems = [
            ProblemView(field=_field(slip["loc"]), message=slip_words(slip)) for slip in error.errors()
        ]
        return answer(Checked(ok=False, problems=problems, spec=None))
    with services().database.read() as session:
        pinned, found = check_training(session, user, spec)
    problems = [ProblemView(field=problem.field, message=said(problem.message)) for problem in found]
    kept = None if problems else pinned.model_dump(mode="json")
    return answer(Checked(ok=not problems, problems=problems, spec=kept))


@api.post("/jobs/<job_id>/again", responses={201: JobView, 409: Problem})
def again(header: NewJobHeaders, path: JobPath) -> Response:
    """Start a training, evaluation or analysis over, as a new job of the same spec."""
    user = viewer()

    def make() -> JobView:
        with services().database.write() as session:
            job = get_job(session, user, path.job_id)
            require_trainer(user)
            made = run_again(session, job.id, owner_id=user.id, idempotency_key=header.idempotency_key)
            return job_view(session, made)

    try:
        return answer(make(), 201)
    except IntegrityError:
        return answer(make(), 201)


def _create(
    header: NewJobHeaders,
    body: NewTraining | NewEvaluation | NewAnalysis,
    spec: TrainSpec | EvaluateSpec | AnalyseSpec,
) -> Response:
    user = viewer()
    require_trainer(user)
    require_priority(user, body.priority)
    try:
        view = _enter(user, header, body, spec)
    except (IntegrityError, QuotaExceeded):
        # The same key came twice at once; the other one made the job, and took the room. This one now finds it.
        view = _enter(user, header, body, spec)
    return answer(view, 201)


def _enter(
    user: User,
    header: NewJobHeaders,
    body: NewTraining | NewEvaluation | NewAnalysis,
    spec: TrainSpec | EvaluateSpec | AnalyseSpec,
) -> NewJobView:
    told = listener(body.webhook_url)
    with services().database.write() as session:
        is_new = job_of_key(session, user.id, header.idempotency_key) is None
        job = create_program_job(
            session,
            owner_id=user.id,
            spec=spec,
            queue=services().settings.queue,
            priority=body.priority,
            name=body.name.strip(),
            idempotency_key=header.idempotency_key,
        )
        if told is not None and is_new:
            told.enter(session, job)
        return new_job_view(session, job, told if is_new else None)


def _field(place: tuple[int | str, ...]) -> str:
    """Where a slip is, without the recipe's task, which is a tag and no field."""
    parts = [str(part) for at, part in enumerate(place) if not (at == 1 and part in _TAGS)]
    return ".".join(parts)
