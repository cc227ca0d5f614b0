"""Model cards: what a model is, what it was made from, how it fared, and what it must not be used for.

A card is one file of plain Markdown in the model's folder, written from what the ledger knows and from nothing else.
It is written when a trained model is registered and again when the model was measured, so it travels with every export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ledger.database import Database
from core.ledger.tables import DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.files import CARD, PAIR, SPEECH_TO_FACE, ModelFile, input_of
from core.models.metric_words import in_order, metric_interval, metric_number, metric_title
from core.models.registry import hold_registry
from core.objects import model_upload_key
from core.store import Store

_KINDS = {
    SPEECH_TO_FACE: "A whole model: it hears a voice and draws a plausible face.",
    PAIR: "An encoder and a decoder in a row, which draw a plausible face together.",
    "ve_conv": "VE_conv: a convolutional encoder of voice spectrograms to embeddings of faces.",
    "ast": "An Audio Spectrogram Transformer that encodes voices as embeddings of faces.",
    "face_decoder": "A decoder of face embeddings to landmarks and texture.",
}
_FEW_PEOPLE = 1000


def card_text(session: Session, version: ModelVersion) -> str:
    """The card of a version, as Markdown."""
    lineage = version.lineage or {}
    dataset = session.get(DatasetVersion, version.dataset_version_id) if version.dataset_version_id else None
    measured = [
        (evaluation, where)
        for evaluation, where in session.execute(
            select(Evaluation, DatasetVersion)
            .join(DatasetVersion, DatasetVersion.id == Evaluation.dataset_version_id)
            .where(Evaluation.model_version_id == version.id)
            .order_by(Evaluation.created_at.desc(), Evaluation.id.desc())
        )
    ]
    parts = [
        _head(version, lineage),
        _data(version, lineage, dataset),
        _training(lineage),
        _results(measured),
        _limits(version, dataset, measured),
        _use(),
        _spec(lineage),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def renew_card(database: Database, store: Store, version_id: str) -> None:
    """Writes the card of a trained version anew; nothing changes for models that were brought in, or deleted.

    Raises:
        StorageUnavailable: try again later.
    """
    with database.read() as session:
        version = session.get(ModelVersion, version_id)
        if version is None or version.lineage is None or version.deleted_at is not None:
            return
        content = card_text(session, version).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    card = ModelFile(CARD, sha256, len(content), model_upload_key(sha256))
    store.put(card.key, content, "text/markdown; charset=utf-8")
    with database.write() as session:
        hold_registry(session)
        held = session.get(ModelVersion, version_id, populate_existing=True)
        if held is not None and held.deleted_at is None:
            held.files = [*(file for file in held.files if file["name"] != CARD), card.to_row()]


def _head(version: ModelVersion, lineage: Mapping[str, Any]) -> str:
    drawn_from = {"voice": "voices", "face": "pictures of faces", None: "nothing by itself"}[
        input_of(version)
    ]
    kind = str(version.config.get("kind", ""))
    rows = [("kind", kind), ("draws from", drawn_from), ("made", _day(version.created_at))]
    if version.config.get("kind") == PAIR:
        rows.append(("parts", f"{version.config.get('encoder')} and {version.config.get('decoder')}"))
    if role := lineage.get("role"):
        rows.append(("part of the training", str(role)))
    if parent := lineage.get("parent"):
        rows.append(("began with the weights of", _labelled(parent)))
    rows += [(f"{name.replace('_', ' ')}", _labelled(one)) for name, one in lineage.get("models", {}).items()]
    if job := lineage.get("job"):
        rows.append(("trained by job", f"{job['id']} ({job['name']})" if job.get("name") else str(job["id"])))
    rows.append(("SHA-256 of its files together", f"`{version.sha256}`"))
    about = _KINDS.get(kind, "A network of voicesketch.")
    return f"# Model card: {_cell(version.label)}\n\n{about}\n\n{_table(('', ''), rows)}"


def _data(version: ModelVersion, lineage: Mapping[str, Any], dataset: DatasetVersion | None) -> str:
    named = lineage.get("dataset")
    if not named and version.config.get("kind") == PAIR:
        return (
            "## Data\n\nIt was put together of two networks; their own cards tell what those were trained on."
        )
    if not named:
        return "## Data\n\nWhat it was trained on is not known here: it was brought in."
    lines = [f"Dataset {_cell(named['label'])}, `{named['sha256']}`."]
    if dataset is not None:
        by_split = dataset.summary.get("by_split", {})
        rows = [
            (split, *(f"{part.get(what, 0):,}" for what in ("people", "voices", "faces")))
            for split, part in by_split.items()
        ]
        if rows:
            lines.append(_table(("part", "people", "voices", "faces"), rows))
        lines.append("Nobody is in more than one part.")
    return "## Data\n\n" + "\n\n".join(lines)


def _training(lineage: Mapping[str, Any]) -> str:
    spec = lineage.get("spec")
    if not spec:
        return ""
    recipe, machine = spec.get("recipe", {}), spec.get("machine", {})
    loop = recipe.get("loop", {})
    ended = lineage.get("training") or {}
    rows: list[tuple[str, str]] = [("recipe", str(recipe.get("task", "")))]
    if loop:
        optimiser = loop.get("optimiser", {})
        rows += [
            ("epochs, at most", f"{loop.get('epochs'):,}"),
            ("batch", f"{loop.get('batch'):,}"),
            ("optimiser", f"{optimiser.get('name')}, learning rate {optimiser.get('learning_rate'):g}"),
        ]
    if machine:
        rows.append(("seed and precision", f"{machine.get('seed')}, {machine.get('precision')}"))
    if "steps" in ended:
        rows.append(("ran", f"{ended['steps']:,} steps in {ended.get('epochs', 0):,} epochs"))
    if best := ended.get("best"):
        rows.append(("best", f"{best.get('metric')} {best.get('value'):.4g} at step {best.get('step'):,}"))
    code, libraries = lineage.get("code", {}), lineage.get("libraries", {})
    if code:
        revision = f", revision `{code['revision']}`" if code.get("revision") else ""
        changed = " with changes" if code.get("changed") else ""
        rows.append(("code", f"voicesketch {code.get('version')}{revision}{changed}"))
        rows.append(("its sources", f"`{code.get('sources_sha256')}`"))
    if libraries:
        rows.append(("libraries", ", ".join(f"{name} {number}" for name, number in libraries.items())))
    return "## How it was trained\n\n" + _table(("", ""), rows)


def _results(measured: Sequence[tuple[Evaluation, DatasetVersion]]) -> str:
    if not measured:
        return "## How it fared\n\nIt has not been measured yet."
    parts = [
        "## How it fared",
        "Values with their 95 % intervals. Where chance is given, that is what guessing reaches.",
    ]
    for evaluation, dataset in measured:
        rows = [
            (
                metric_title(name),
                f"`{name}`",
                metric_number(name, metric["value"]),
                metric_interval(name, metric),
                f"{metric['count']:,}" if metric.get("count") is not None else "",
                metric_number(name, metric.get("chance")),
                f"{metric['better']} is better",
            )
            for name in in_order(evaluation.metrics)
            for metric in (evaluation.metrics[name],)
        ]
        parts.append(f"### On {dataset.label}, {evaluation.split}")
        parts.append(_table(("", "metric", "value", "95 %", "of", "chance", ""), rows))
    return "\n\n".join(parts)


def _limits(
    version: ModelVersion,
    dataset: DatasetVersion | None,
    measured: Sequence[tuple[Evaluation, DatasetVersion]],
) -> str:
    lines = []
    if input_of(version) is None:
        lines.append(
            "It draws nothing by itself; what it is good for depends on what it is put together with."
        )
    elif input_of(version) == "face":
        lines.append(
            "A face is drawn from an embedding of another picture, which keeps little besides what tells people apart: "
            "light, pose, hair and surroundings are filled in."
        )
    else:
        lines.append(
            "Beyond gender and some age, a voice says little about a face. Hair, skin, beard and build are filled in "
            "so that faces look like faces; they are not knowledge."
        )
    people = dataset.summary.get("people") if dataset is not None else None
    if people is not None and people < _FEW_PEOPLE:
        lines.append(
            f"Its dataset holds {people:,} people: few. It has seen little of how people differ, and the intervals "
            "are wide."
        )
    lines.append(
        "Groups that are rare in its data are served worse. How much worse has not been measured unless a table above "
        "says so."
    )
    if not any(evaluation.split == "test" for evaluation, _ in measured):
        lines.append(
            "It has not been measured on people it never met (the test part), so nothing is promised of it."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _use() -> str:
    return (
        "## Use it responsibly\n\n"
        "- For research and demonstration. A face is a model's guess: no likeness, and no evidence of anybody's "
        "identity.\n"
        "- Do not identify, judge or depict anybody with it, and do not decide anything about anybody by it.\n"
        "- Use only recordings and pictures of people who agreed to it, and say of every face that it is AI-generated."
    )


def _spec(lineage: Mapping[str, Any]) -> str:
    if not lineage.get("spec"):
        return ""
    return "## The whole configuration\n\n```json\n" + json.dumps(lineage["spec"], indent=2) + "\n```"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Names come from strangers: none of them may end a cell, a line or the table."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain.replace("|", "\\|").replace("<", "&lt;")


def _labelled(one: Mapping[str, str]) -> str:
    return f"{one['label']}, `{one['sha256']}`"


def _day(at: datetime) -> str:
    return at.strftime("%d %B %Y")
