"""Trainings: the list of them, and the form that asks for a new one. The page of one is in `program_page.py`."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from core.datasets.queries import list_datasets
from core.ledger.tables import DatasetVersion
from core.queries import list_models
from core.states import JOB_FINAL
from core.training.curves import newest_points
from core.training.presets import PRESETS, Preset
from core.training.queries import ProgramRow, list_programs
from core.training.requests import FEATURES
from core.training.specs import AfterTraining
from dashboard.identity import viewer
from dashboard.permissions import may_change_models, require_trainer
from dashboard.services import services
from dashboard.spec_form import form_of
from dashboard.training_words import FEATURE_WORDS, TASK_WORDS
from dashboard.translation import said

bp = Blueprint("training_pages", __name__)

_AT_ONCE = 25
_SPARK_POINTS = 120
_MOST_DATASETS = 200
# What most people change; everything else is folded away.
_FIRST = ("recipe.loop.epochs", "recipe.loop.batch", "recipe.loop.optimiser.learning_rate")


@bp.get("/trainings")
def index() -> str:
    return render_template("training/list.html", **_page())


@bp.get("/trainings/rows")
def rows() -> str:
    """The list alone: a page asks for it again while something in it moves."""
    return render_template("training/_rows.html", **_page())


@bp.get("/trainings/new")
def new() -> str:
    require_trainer(viewer())
    chosen = _preset()
    with services().database.read() as session:
        models = [model for model, _ in list_models(session)]
        return render_template(
            "training/new.html",
            tasks=[
                (task, words, [one for one in PRESETS.values() if one.recipe.task == task])
                for task, words in TASK_WORDS.items()
            ],
            models=[model.label for model in models],
            **_settings(session, chosen),
        )


@bp.get("/trainings/new/settings")
def settings() -> str:
    """The part of the form that depends on the preset."""
    require_trainer(viewer())
    with services().database.read() as session:
        return render_template("training/_settings.html", **_settings(session, _preset()))


def _page() -> dict[str, object]:
    user = viewer()
    before = request.args.get("before", "")[:40] or None
    with services().database.read() as session:
        found = list_programs(session, user, ("train",), limit=_AT_ONCE + 1, before=before)
        shown = found[:_AT_ONCE]
        sparks = {row.job.id: _spark(session, row) for row in shown}
    return {
        "rows": shown,
        "sparks": sparks,
        "before": before,
        "next": shown[-1].job.id if len(found) > _AT_ONCE else None,
        "live": any(row.job.state not in JOB_FINAL for row in shown),
        "may_train": may_change_models(user),
    }


def _spark(session: Session, row: ProgramRow) -> list[float]:
    """What the loss did lately: on the validation part where there is one, else in training."""
    for series in ("validation/total", "train/total"):
        points = newest_points(session, row.job.id, series, _SPARK_POINTS)
        if len(points) > 1:
            return points
    return []


def _preset() -> Preset:
    return PRESETS.get(request.args.get("preset", ""), PRESETS["default"])


def _settings(session: Session, preset: Preset) -> dict[str, object]:
    recipe = form_of(preset.recipe, "recipe")
    first = [one for path in _FIRST if (one := recipe.field(path)) is not None]
    return {
        "preset": preset,
        "first": first,
        "recipe": recipe.without(frozenset(one.path for one in first)),
        "machine": form_of(preset.machine, "machine"),
        "after": form_of(AfterTraining(), "after"),
        "datasets": sorted(
            (
                (dataset, _lacks(dataset, preset.recipe.task))
                for dataset in list_datasets(session, viewer(), limit=_MOST_DATASETS)
            ),
            key=lambda one: bool(one[1]),  # those that can be chosen first
        ),
    }


def _lacks(dataset: DatasetVersion, task: str) -> list[str]:
    """What a dataset would need for a task, in words."""
    there = dataset.summary.get("features")
    if there is None:  # prepared before features were counted
        return []
    return [said(FEATURE_WORDS[name]) for name in FEATURES[task] if name not in there]
