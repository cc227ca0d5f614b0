"""Evaluations and analyses: the lists, the page of an evaluation, and the forms that ask for new ones."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, render_template, request

from core.datasets.queries import list_datasets
from core.ledger.tables import ModelVersion
from core.models.registry import input_of
from core.queries import list_models
from core.states import JOB_FINAL
from core.training.queries import files_of, get_evaluation, list_evaluations, list_programs
from core.training.specs import AnalyseSpec, EvaluateSpec
from dashboard.identity import viewer
from dashboard.job_reports import metric_rows, report_of
from dashboard.permissions import may_change_models, require_trainer
from dashboard.services import services
from dashboard.spec_form import FormGroup, form_of

bp = Blueprint("evaluation_pages", __name__)

_AT_ONCE = 25
_MOST_DATASETS = 200
# Shown in the list, as far as they were measured: the first few say most about a model.
_HEADLINES = (
    "matching.voice_to_face.2",
    "matching.voice_to_face.10",
    "retrieval.r10",
    "embedding.cosine",
    "ssim",
    "lpips",
    "frechet",
    "attributes.gender",
)
_HEADLINES_AT_ONCE = 4


@bp.get("/evaluations")
def index() -> str:
    user = viewer()
    before = request.args.get("before", "")[:40] or None
    with services().database.read() as session:
        found = list_evaluations(session, user, limit=_AT_ONCE + 1, before=before)
        running = (
            []
            if before
            else [
                row
                for row in list_programs(session, user, ("evaluate",), limit=_AT_ONCE)
                if row.job.state not in JOB_FINAL
            ]
        )
    shown = found[:_AT_ONCE]
    return render_template(
        "evaluations/list.html",
        rows=[(row, _headlines(row.evaluation.metrics)) for row in shown],
        running=running,
        before=before,
        next=shown[-1].evaluation.id if len(found) > _AT_ONCE else None,
        may_evaluate=may_change_models(user),
    )


@bp.get("/evaluations/new")
def new() -> str:
    chosen = _chosen()
    form = form_of(EvaluateSpec(model=chosen or "production", dataset="-"))
    return _form_page(
        "evaluation",
        chosen,
        form.without(frozenset({"model", "partner", "dataset", "split"})),
        suits=lambda model: input_of(model) is not None or _encodes(model, "voice"),
        partners=lambda model: _encodes(model, "face"),
    )


@bp.get("/analyses")
def analyses() -> str:
    user = viewer()
    before = request.args.get("before", "")[:40] or None
    with services().database.read() as session:
        found = list_programs(session, user, ("analyse",), limit=_AT_ONCE + 1, before=before)
    shown = found[:_AT_ONCE]
    return render_template(
        "evaluations/analyses.html",
        rows=shown,
        before=before,
        next=shown[-1].job.id if len(found) > _AT_ONCE else None,
        may_evaluate=may_change_models(user),
    )


@bp.get("/analyses/new")
def new_analysis() -> str:
    chosen = _chosen()
    form = form_of(AnalyseSpec(model=chosen or "production", dataset="-"))
    return _form_page(
        "analysis",
        chosen,
        form.without(frozenset({"model", "dataset", "split"})),
        suits=lambda model: input_of(model) == "voice",
    )


@bp.get("/evaluations/<evaluation_id>")
def show(evaluation_id: str) -> str:
    with services().database.read() as session:
        row = get_evaluation(session, viewer(), evaluation_id)
        files = files_of(session, row.job.id)
    return render_template(
        "evaluations/evaluation.html",
        row=row,
        groups=metric_rows(row.evaluation.metrics),
        report=report_of(services().store, files, row.model.label),
    )


def _headlines(metrics: dict[str, dict[str, object]]) -> list[tuple[str, dict[str, object]]]:
    return [(name, metrics[name]) for name in _HEADLINES if name in metrics][:_HEADLINES_AT_ONCE]


def _chosen() -> str:
    """The model that a form begins with."""
    require_trainer(viewer())
    return request.args.get("model", "")[:160]


def _form_page(
    kind: str,
    chosen: str,
    form: FormGroup,
    *,
    suits: Callable[[ModelVersion], bool],
    partners: Callable[[ModelVersion], bool] = lambda model: False,
) -> str:
    """
    Args:
        suits, partners: of which models it can be asked for, and which can be named beside them.
    """
    with services().database.read() as session:
        models = [model for model, _ in list_models(session) if model.deleted_at is None]
        return render_template(
            "evaluations/new.html",
            kind=kind,
            chosen=chosen,
            form=form,
            models=[model for model in models if suits(model)],
            partners=[model for model in models if partners(model)],
            datasets=list_datasets(session, viewer(), limit=_MOST_DATASETS),
        )


def _encodes(model: ModelVersion, what: str) -> bool:
    return model.config.get("part") == "encoder" and model.config.get("input") == what
