"""The report of a dataset: what was kept, what was not and why, how long, how loud, who, and how people were split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.datasets.plan import LeftOut, Person, Plan
from core.datasets.recipes import SPLITS, UNKNOWN
from core.datasets.splits import age_group, is_age
from worker.ml.preparation.charts import bars_png, histogram_png, plain_style, shares_png
from worker.ml.preparation.shards import canonical_json

KEPT = "kept"
# Left out because the recipe or the manifest says so, or by what they are; all others were meant to be used.
AS_ASKED = frozenset({"clip_limit", "no_pair", "not_in_manifest", "not_media", "not_wanted"})
MOST_VALUES = 40  # of an attribute; there are not so many groups of people worth comparing
Line = Mapping[str, Any]


def report_files(
    plan: Plan,
    entries: Sequence[Line],
    rejects: Sequence[LeftOut],
    people: Sequence[Person],
    loudness: Sequence[float],
    counts: Mapping[str, Any],
) -> dict[str, bytes]:
    """`report.json` and `report/*.png`.

    Args:
        entries: index lines of what was kept.
        rejects: every input that is no part of the dataset, with its reason.
        people: who has entries.
        loudness: of the kept recordings in dBFS.
        counts: as in `dataset.json`.
    """
    seconds = [line["duration_seconds"] for line in entries if line["duration_seconds"] is not None]
    table = split_table(people)
    per_person = _per_person(entries)
    pictures = _pictures(len(entries), rejects, people, seconds, loudness, table, per_person)
    report = {
        "layout": plan.layout,
        "counts": counts,
        "durations_seconds": _quantiles(seconds),
        "loudness_dbfs": _quantiles(loudness),
        "entries_per_person": {side: _quantiles(values) for side, values in per_person.items()},
        "split_by_attribute": table,
        "rejects": [asdict(one) for one in rejects],
        "pictures": sorted(pictures),
    }
    return {"report.json": canonical_json(report) + b"\n", **pictures}


def by_reason(rejects: Sequence[LeftOut]) -> dict[str, int]:
    """Counts, the most frequent reason first."""
    counts = Counter(one.reason for one in rejects)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def split_table(people: Sequence[Person]) -> dict[str, dict[str, dict[str, int]]]:
    """People by attribute, its value, and the part they went to."""
    names = sorted({name for person in people for name in person.attributes})
    table: dict[str, dict[str, dict[str, int]]] = {}
    for name in names:
        rows: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SPLITS, 0))
        for person in people:
            value = person.attributes.get(name, UNKNOWN)
            rows[age_group(value) if is_age(name) else value][person.split] += 1
        # What nearly everybody has a value of their own for, such as a name, says nothing in a table.
        if len(rows) <= MOST_VALUES:
            table[name] = dict(sorted(rows.items()))
    return table


def _per_person(entries: Sequence[Line]) -> dict[str, list[int]]:
    sides: dict[str, list[int]] = {}
    for side, name in (("voice", "voices"), ("face", "faces")):
        counts = Counter(line["person"] for line in entries if line["side"] == side)
        if counts:
            sides[name] = sorted(counts.values())
    return sides


def _pictures(
    kept: int,
    rejects: Sequence[LeftOut],
    people: Sequence[Person],
    seconds: Sequence[float],
    loudness: Sequence[float],
    table: Mapping[str, Mapping[str, Mapping[str, int]]],
    per_person: Mapping[str, Sequence[float]],
) -> dict[str, bytes]:
    pictures: dict[str, bytes] = {}
    with plain_style():
        pictures["report/outcomes.png"] = bars_png(
            "Kept, and left out by reason", {KEPT: kept, **by_reason(rejects)}, "inputs", KEPT, AS_ASKED
        )
        if seconds:
            pictures["report/durations.png"] = histogram_png(
                "Durations of the recordings", {"recordings": seconds}, "seconds", "recordings"
            )
        if loudness:
            pictures["report/loudness.png"] = histogram_png(
                "Loudness of the recordings, before it was made equal",
                {"recordings": loudness},
                "dB relative to full scale (RMS)",
                "recordings",
            )
        if per_person:
            named = {f"people with {side}": counts for side, counts in per_person.items()}
            pictures["report/entries_per_person.png"] = histogram_png(
                "Entries of each person", named, "entries of one person", "people", whole=True
            )
        parts = Counter(person.split for person in people)
        groups: dict[str, Mapping[str, int]] = {"everybody": {split: parts[split] for split in SPLITS}}
        for name, rows in table.items():
            groups |= {f"{name}: {value}": row for value, row in rows.items()}
        note = f"{len(people):,} people; nobody is in two parts"
        pictures["report/split.png"] = shares_png("How people were split", note, groups, SPLITS)
    return pictures


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Count, sum, extremes and quartiles, to three digits after the point."""
    if not values:
        return None
    low, first, middle, third, high = np.quantile(
        np.asarray(values, dtype=np.float64), [0, 0.25, 0.5, 0.75, 1]
    )
    named = {"sum": np.sum(values), "min": low, "q1": first, "median": middle, "q3": third, "max": high}
    return {"count": len(values), **{name: round(float(value), 3) for name, value in named.items()}}
