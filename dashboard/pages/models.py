"""The registry for people: which versions there are, what is known of each, and the buttons that move aliases."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotFound
from core.ledger.tables import ModelVersion
from core.models.comparison import compare_versions
from core.models.deletion import delete_model
from core.models.promotion import promote, rollback
from core.models.queries import headlines, list_aliases
from core.models.registry import PRODUCTION, resolve_model
from core.queries import list_models
from dashboard.identity import viewer
from dashboard.model_report import read_model, spec_differences
from dashboard.permissions import may_change_models, require_operator
from dashboard.services import services
from dashboard.translation import phrase

bp = Blueprint("model_pages", __name__)

_LONGEST_REASON = 1000


@bp.get("/models")
def index() -> str:
    return _index()


@bp.get("/models/compare")
def compare() -> str:
    first, second = request.args.get("a", "")[:160], request.args.get("b", "")[:160]
    with services().database.read() as session:
        models = [model for model, _ in list_models(session)]
        chosen = [_find(session, one) for one in (first, second) if one]
        compared = compare_versions(session, *chosen) if len(chosen) == 2 else []
    differences = spec_differences(*chosen) if len(chosen) == 2 else []
    return render_template(
        "models/compare.html",
        models=models,
        first=chosen[0] if chosen else None,
        second=chosen[1] if len(chosen) == 2 else None,
        compared=compared,
        differences=differences,
    )


@bp.get("/models/<label>")
def show(label: str) -> str:
    return _show(label)


@bp.get("/models/<label>/delete")
def ask_delete(label: str) -> str:
    """What deleting would do, before it is done."""
    require_operator(viewer())
    with services().database.read() as session:
        model = _find(session, label)
    return _ask_delete(model.label)


@bp.post("/models/<label>/delete")
def delete(label: str) -> ResponseReturnValue:
    user = viewer()
    require_operator(user)
    here = services()
    try:
        delete_model(
            here.database,
            here.store,
            label,
            actor=user.id,
            bundled=here.settings.model_folder,
            reason=_reason(),
        )
    except Conflict:
        return _ask_delete(label), 409
    flash(phrase("{label} is deleted.", label=label))
    return redirect(url_for("model_pages.index"), 303)


@bp.post("/models/<label>/promote")
def promote_model(label: str) -> ResponseReturnValue:
    user = viewer()
    require_operator(user)
    alias = request.form.get("alias", "").strip() or PRODUCTION
    try:
        with services().database.write() as session:
            promote(
                session,
                alias,
                _find(session, label),
                actor=user.id,
                reason=_reason(),
                force="force" in request.form,
            )
    except InvalidRequest as error:
        return _show(label, refused=error.message), 400
    flash(phrase("{alias} points at {label} now.", alias=alias, label=label))
    return redirect(url_for("model_pages.show", label=label), 303)


@bp.post("/aliases/<alias>/rollback")
def roll_back(alias: str) -> ResponseReturnValue:
    user = viewer()
    require_operator(user)
    try:
        with services().database.write() as session:
            # What the page showed: a second click, or an old page, rolls nothing back further.
            expected = _find(session, request.form.get("version", "")[:160])
            rollback(session, alias, actor=user.id, reason=_reason(), expected=expected)
            label = resolve_model(session, alias).label
    except Conflict as error:
        return _index(refused=error.message), 409
    flash(phrase("{alias} points at {label} now.", alias=alias, label=label))
    return redirect(url_for("model_pages.index"), 303)


def _index(refused: str = "") -> str:
    with services().database.read() as session:
        models = list_models(session)
        best = headlines(session, [model for model, _ in models])
        aliases = list_aliases(session)
    names: dict[str, list[tuple[ModelVersion, list[str]]]] = {}
    for model, pointing in models:
        names.setdefault(model.name, []).append((model, pointing))
    return render_template(
        "models/list.html",
        names=names,
        headlines=best,
        aliases=aliases,
        may_change=may_change_models(viewer()),
        refused=refused,
    )


def _show(label: str, refused: str = "") -> str:
    user = viewer()
    with services().database.read() as session:
        model = _find(session, label)
        report = read_model(session, services().store, user, model)
    return render_template(
        "models/model.html",
        model=model,
        report=report,
        may_change=may_change_models(user),
        refused=refused,
    )


def _ask_delete(label: str) -> str:
    here = services()
    found = delete_model(
        here.database,
        here.store,
        label,
        actor=viewer().id,
        bundled=here.settings.model_folder,
        dry_run=True,
    )
    return render_template("models/delete.html", found=found)


def _find(session: Session, label: str) -> ModelVersion:
    try:
        return resolve_model(session, label)
    except InvalidRequest as error:
        raise NotFound(error.message) from error


def _reason() -> str:
    return request.form.get("reason", "").strip()[:_LONGEST_REASON]
