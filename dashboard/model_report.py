"""What the page of a model version shows: where it comes from, how it fared beside production, its card, its moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from core.datasets.queries import get_dataset
from core.errors import NotFound, StorageUnavailable
from core.ledger.tables import Alias, DatasetVersion, Job, ModelVersion, User
from core.ledger.training_tables import AliasMove, Evaluation
from core.models.cards import card_text
from core.models.comparison import ComparedMetric, compare_metrics
from core.models.evaluations import evaluations_of
from core.models.files import CARD, PAIR, PARTS, input_of
from core.models.promotion import rollback_target
from core.models.queries import Headline, actor_names, children_of, headlines, labels_of
from core.models.registry import PRODUCTION, is_version_number
from core.queries import get_job, visible_to
from core.store import Store
from dashboard.markdown import render_markdown
from dashboard.translation import phrase

_LARGEST_CARD_BYTES = 1 << 20
_MOVES = 50


@dataclass(frozen=True)
class Measured:
    """One evaluation; `metrics` beside those of production, where that was measured under the same conditions."""

    evaluation: Evaluation
    dataset: DatasetVersion
    linked: bool  # whether the viewer may see the job whose report it is
    metrics: Sequence[ComparedMetric]
    beside_production: bool


@dataclass(frozen=True)
class Move:
    row: AliasMove
    before: str | None
    after: str
    actor: str


@dataclass(frozen=True)
class ModelReport:
    drawn_from: str | None
    size_bytes: int
    headline: Headline | None
    aliases: Sequence[Alias]
    back: Mapping[str, ModelVersion | None]  # where rolling back each alias would lead
    all_aliases: Sequence[str]
    production: ModelVersion | None
    dataset: str | None
    dataset_linked: bool
    job: Job | None
    parent: ModelVersion | None
    children: Sequence[ModelVersion]
    halves: Sequence[tuple[str, str, bool]]  # of a pair: part, label, and whether it is here
    measured: Sequence[Measured]
    moves: Sequence[Move]
    card: Markup
    made_by: Sequence[tuple[str, str]]


def read_model(session: Session, store: Store, viewer: User, model: ModelVersion) -> ModelReport:
    """Reads all that one page shows."""
    aliases = session.scalars(
        select(Alias).where(Alias.model_version_id == model.id).order_by(Alias.name)
    ).all()
    pointing = session.get(Alias, PRODUCTION)
    production = session.get(ModelVersion, pointing.model_version_id) if pointing is not None else None
    dataset = (
        session.get(DatasetVersion, model.dataset_version_id)
        if model.dataset_version_id is not None
        else None
    )
    named = (model.lineage or {}).get("dataset") or {}
    return ModelReport(
        drawn_from=input_of(model),
        size_bytes=sum(file["size_bytes"] for file in model.files),
        headline=headlines(session, [model]).get(model.id),
        aliases=aliases,
        back={alias.name: rollback_target(session, alias.name) for alias in aliases},
        all_aliases=session.scalars(select(Alias.name).order_by(Alias.name)).all(),
        production=production,
        dataset=dataset.label if dataset is not None else named.get("label"),
        dataset_linked=dataset is not None and _may_see_dataset(session, viewer, dataset),
        job=_job(session, viewer, model.job_id),
        parent=session.get(ModelVersion, model.parent_id) if model.parent_id is not None else None,
        children=children_of(session, model),
        halves=_halves(session, model),
        measured=_measured(session, viewer, model, production),
        moves=_moves(session, model),
        card=_card(session, store, model),
        made_by=_made_by(model.lineage or {}),
    )


def spec_differences(first: ModelVersion, second: ModelVersion) -> list[tuple[str, str, str]]:
    """What the trainings of two versions were told differently: path, and both values."""
    one, other = dict(_flat(_told(first))), dict(_flat(_told(second)))
    return [
        (name, one.get(name, "–"), other.get(name, "–"))
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def _told(model: ModelVersion) -> dict[str, Any]:
    lineage = model.lineage or {}
    parent = lineage.get("parent") or {}
    return {
        "dataset": (lineage.get("dataset") or {}).get("label", phrase("not known")),
        "parent": parent.get("label", phrase("none")),
        **{
            name: value
            for name, value in (lineage.get("spec") or {}).items()
            if name in ("recipe", "machine")
        },
        "code": (lineage.get("code") or {}).get("sources_sha256", phrase("not known"))[:12],
        "libraries": lineage.get("libraries") or {},
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else name)
    else:
        yield path, phrase("none") if value is None else str(value)


def _measured(
    session: Session, viewer: User, model: ModelVersion, production: ModelVersion | None
) -> list[Measured]:
    theirs = {}
    if production is not None and production.id != model.id:
        theirs = {
            (other.dataset_version_id, other.spec_sha256): other
            for other, _ in evaluations_of(session, production)
        }
    found = evaluations_of(session, model)
    seen = set(
        session.scalars(
            select(Job.id).where(
                Job.id.in_([evaluation.job_id for evaluation, _ in found]), visible_to(viewer)
            )
        )
    )
    rows = []
    for evaluation, dataset in found:
        other = theirs.get((evaluation.dataset_version_id, evaluation.spec_sha256))
        metrics = compare_metrics(evaluation.metrics, other.metrics if other is not None else {})
        rows.append(Measured(evaluation, dataset, evaluation.job_id in seen, metrics, other is not None))
    return rows


def _moves(session: Session, model: ModelVersion) -> list[Move]:
    rows = session.scalars(
        select(AliasMove)
        .where(or_(AliasMove.new_version_id == model.id, AliasMove.old_version_id == model.id))
        .order_by(AliasMove.id.desc())
        .limit(_MOVES)
    ).all()
    labels = labels_of(session, (one for row in rows for one in (row.old_version_id, row.new_version_id)))
    names = actor_names(session, (row.actor for row in rows))
    return [
        Move(row, labels.get(row.old_version_id or ""), labels[row.new_version_id], names[row.actor])
        for row in rows
    ]


def _card(session: Session, store: Store, model: ModelVersion) -> Markup:
    """The card that lies in the model's folder, or one of what is known where it has none."""
    for file in model.files:
        if file["name"] == CARD and file["size_bytes"] <= _LARGEST_CARD_BYTES:
            try:
                return render_markdown(store.get(file["key"]).decode("utf-8", "replace"))
            except (NotFound, StorageUnavailable):
                break
    return render_markdown(card_text(session, model))


def _halves(session: Session, model: ModelVersion) -> list[tuple[str, str, bool]]:
    if model.config.get("kind") != PAIR:
        return []
    found = []
    for part in PARTS:
        label = str(model.config.get(part, ""))
        name, _, number = label.partition("@")
        here = is_version_number(number) and session.scalar(
            select(ModelVersion.id).where(
                ModelVersion.name == name,
                ModelVersion.version == int(number),
                ModelVersion.deleted_at.is_(None),
            )
        )
        found.append((part, label, bool(here)))
    return found


def _made_by(lineage: Mapping[str, Any]) -> list[tuple[str, str]]:
    code, libraries = lineage.get("code") or {}, lineage.get("libraries") or {}
    rows = []
    if code:
        parts = [f"voicesketch {code.get('version')}"]
        if code.get("revision"):
            parts.append(phrase("revision {revision}", revision=code["revision"][:12]))
        if code.get("changed"):
            parts.append(phrase("with changes"))
        rows.append((phrase("Code"), ", ".join(parts)))
        rows.append((phrase("Sources"), str(code.get("sources_sha256", ""))))
    if libraries:
        rows.append(
            (phrase("Libraries"), ", ".join(f"{name} {number}" for name, number in libraries.items()))
        )
    return rows


def _job(session: Session, viewer: User, job_id: str | None) -> Job | None:
    if job_id is None:
        return None
    try:
        return get_job(session, viewer, job_id)
    except NotFound:
        return None


def _may_see_dataset(session: Session, viewer: User, dataset: DatasetVersion) -> bool:
    try:
        get_dataset(session, viewer, dataset.label)
    except NotFound:
        return False
    return True
