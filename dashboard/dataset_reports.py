"""The report of a dataset version as its page shows it: numbers in the order people ask for them, and few of each.

A report names every input that was left out, which may be a hundred thousand; a page shows some of each reason. What
was read once is remembered, since a version never changes.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from core.datasets.recipes import Recipe
from core.errors import NotFound
from core.ledger.tables import DatasetVersion
from core.store import Store
from dashboard.translation import phrase, phrase_of, said, written
from dashboard.words import LEFT_OUT_WORDS, VALUE_WORDS

LARGEST_REPORT_BYTES = 64 * 2**20
_EXAMPLES = 6
_REMEMBERED = 16
_remembered: OrderedDict[str, DatasetReport] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class Reason:
    """Why inputs were left out: how many, in words, and some of them with what was said of each."""

    code: str
    count: int
    examples: list[tuple[str, str]]

    @property
    def words(self) -> str:
        return said(LEFT_OUT_WORDS.get(self.code, self.code.replace("_", " ")))


@dataclass(frozen=True)
class DatasetReport:
    """What a page says about a dataset version besides its label.

    Attributes:
        by_split: people, voices and faces of each part.
        attributes: for each attribute, its values with the number of people in each part.
        wish: what was asked for; `recipe` says it as pairs of words.
        pictures: names of charts.
        statistics: mean, standard deviation and frames of the AST's input; None where it has none.
    """

    counts: dict[str, Any]
    by_split: dict[str, dict[str, int]]
    attributes: dict[str, dict[str, dict[str, int]]]
    reasons: list[Reason]
    layout: str
    wish: Recipe
    plan_sha256: str
    pictures: list[str]
    forms: dict[str, dict[str, Any]]
    statistics: dict[str, Any] | None

    # Reports are remembered for everybody, whatever their language.
    @property
    def recipe(self) -> list[tuple[str, str]]:
        return recipe_words(self.wish)

    @property
    def features(self) -> list[tuple[str, str]]:
        """What each part of a sample is: its shape and its numbers."""
        return [
            (what, f"{' × '.join(_length(side) for side in form['shape'])} {form['dtype']}")
            for what, form in self.forms.items()
        ]


def read_report(store: Store, dataset: DatasetVersion) -> DatasetReport:
    """Reads `dataset.json` and `report.json`.

    Raises:
        NotFound: they are gone, or too large for a page.
        StorageUnavailable: try again later.
    """
    with _lock:
        known = _remembered.get(dataset.sha256)
    if known is not None:
        return known
    description = _read(store, dataset, "dataset.json")
    report = _read(store, dataset, "report.json")
    made = _digest(description, report)
    with _lock:
        _remembered[dataset.sha256] = made
        while len(_remembered) > _REMEMBERED:
            _remembered.popitem(last=False)
    return made


def _read(store: Store, dataset: DatasetVersion, name: str) -> dict[str, Any]:
    for file in dataset.files:
        if file["name"] == name and file["size_bytes"] <= LARGEST_REPORT_BYTES:
            content: dict[str, Any] = json.loads(store.get(file["key"]))
            return content
    raise NotFound(f"The report of {dataset.label} cannot be shown here; download its {name}.")


def _digest(description: dict[str, Any], report: dict[str, Any]) -> DatasetReport:
    examples: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in report["rejects"]:
        if len(examples[one["reason"]]) < _EXAMPLES:
            examples[one["reason"]].append((one["key"], one["message"]))
    counts = description["counts"]
    return DatasetReport(
        counts=counts,
        by_split=counts["by_split"],
        attributes=report["split_by_attribute"],
        reasons=[Reason(code, count, examples[code]) for code, count in counts["rejects"].items()],
        layout=description["layout"],
        wish=Recipe.model_validate(description["recipe"]),
        plan_sha256=description["plan_sha256"],
        pictures=report["pictures"],
        forms=description["features"],
        statistics=(description.get("statistics") or {}).get("ast"),
    )


def _length(side: int | None) -> str:
    return phrase("any length") if side is None else str(side)


def recipe_words(recipe: Recipe) -> list[tuple[str, str]]:
    """A recipe as pairs of what and how."""
    words: list[tuple[str, str]] = []
    if recipe.voice is None:
        words.append(("Voices", phrase("none")))
    else:
        words.append(("Voices", _listed(recipe.voice.features)))
        if "waveform" in recipe.voice.features:
            longest = written(f"{recipe.voice.waveform_seconds:g}")
            words.append(("Waveforms", phrase("{seconds} s at most", seconds=longest)))
        if recipe.voice.max_clips:
            most = recipe.voice.max_clips
            words.append(
                ("Clips", phrase_of("{count} of each person at most", "{count} of each person at most", most))
            )
    if recipe.face is None:
        words.append(("Faces", phrase("none")))
    else:
        face = recipe.face
        words.append(("Faces", _listed(face.outputs)))
        words.append(
            (
                "Pictures",
                phrase("{crop}, {size} × {size} pixels", crop=said(VALUE_WORDS[face.crop]), size=face.size),
            )
        )
        words.append(("Several faces", said(VALUE_WORDS[face.several])))
        if face.encoder:
            words.append(("Encoder", face.encoder))
    if not recipe.needs_both and recipe.voice and recipe.face:
        words.append(("People", phrase("also those with one side only")))
    split = recipe.split
    shares = " / ".join(
        written(f"{100 * share:g} %") for share in (split.train, split.validation, split.test)
    )
    words.append(("Split", phrase("{shares}, seed {seed}", shares=shares, seed=split.seed)))
    if split.by:
        words.append(("Alike in", ", ".join(split.by)))
    if split.keep:
        words.append(("Given splits", phrase("kept where the source gives one")))
    return [(said(what), how) for what, how in words]


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(said(VALUE_WORDS[value]) for value in values)
