"""A dataset version put together from its shards' sidecars: description, index, people and report.

The description, `dataset.json`, vouches for everything else by SHA-256 and says nothing about when, where or from which
folder it was made; its own SHA-256 names the version.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.datasets.plan import LeftOut, Person, Plan
from core.datasets.recipes import SPLITS
from worker.dataset_report import by_reason, report_files
from worker.ml.preparation.shards import canonical_json
from worker.ml.preparation.statistics import FrameSums
from worker.ml.preparation.voices import AST

FORMAT = 1
DATASET, INDEX, PEOPLE = "dataset.json", "index.jsonl", "people.jsonl"

Line = dict[str, Any]


@dataclass(frozen=True)
class AssembledDataset:
    """The files of a version besides its shards.

    Attributes:
        files: content by name: `dataset.json`, `index.jsonl`, `people.jsonl`, `report.json`, `report/*.png`.
        sha256: of `dataset.json`; names the version.
        summary: a few numbers for lists.
    """

    files: dict[str, bytes]
    sha256: str
    summary: dict[str, Any]


def assemble(plan: Plan, sidecars: Sequence[bytes]) -> AssembledDataset:
    """Put a dataset together.

    People who lost one of two needed sides, because every input of it was turned down, are left out here; what their
    shards hold of them is in no index.

    Args:
        sidecars: of every shard of the plan, in any order.

    Raises:
        ValueError: sidecars are missing, or belong to another plan.
    """
    shards = sorted((json.loads(sidecar) for sidecar in sidecars), key=lambda shard: int(shard["number"]))
    _check_complete(plan, shards)
    entries = [line for shard in shards for line in shard["entries"]]
    rejects = [*plan.left_out, *(LeftOut(**one) for shard in shards for one in shard["rejects"])]
    entries, unpaired = _paired(plan, entries)
    rejects = sorted([*rejects, *unpaired], key=lambda one: (one.key, one.reason))
    kept = {line["number"] for line in entries}
    present = {line["person"] for line in entries}
    people = [person for person in plan.people if person.id in present]

    counts = _counts(plan, entries, people, rejects)
    index = b"".join(canonical_json(line) + b"\n" for line in entries)
    people_lines = _people_lines(people, entries)
    description = {
        "format": FORMAT,
        "layout": plan.layout,
        "recipe": plan.recipe.model_dump(mode="json"),
        "plan_sha256": plan.outline_sha256,
        "counts": counts,
        "features": _features(shards),
        "face_encoder": _face_encoder(shards),
        "statistics": {AST: _ast_statistics(shards, kept)},
        "shards": [_shard_line(shard) for shard in shards],
        "index": _vouched(index),
        "people": _vouched(people_lines),
    }
    loudness = [
        level for shard in shards for number, level in shard["statistics"]["loudness_dbfs"] if number in kept
    ]
    dataset = canonical_json(description) + b"\n"
    files = {
        DATASET: dataset,
        INDEX: index,
        PEOPLE: people_lines,
        **report_files(plan, entries, rejects, people, loudness, counts),
    }
    return AssembledDataset(files, hashlib.sha256(dataset).hexdigest(), _summary(counts, shards, files))


def _check_complete(plan: Plan, shards: Sequence[Line]) -> None:
    planned = plan.shards()
    if [shard["number"] for shard in shards] != [shard.number for shard in planned]:
        raise ValueError(f"{len(shards)} sidecars for {len(planned)} shards, or not each one once")
    for shard, wanted in zip(shards, planned, strict=True):
        through = [line["key"] for line in (*shard["entries"], *shard["rejects"])]
        if Counter(through) != Counter(entry.key for entry in wanted.entries):
            raise ValueError(f"the sidecar of shard {wanted.number} is not of this plan")


def _paired(plan: Plan, entries: Sequence[Line]) -> tuple[list[Line], list[LeftOut]]:
    """Entries of people who kept both sides, where both are needed, and the others as left out."""
    if not plan.recipe.needs_both:
        return list(entries), []
    sides: dict[str, set[str]] = defaultdict(set)
    for line in entries:
        sides[line["person"]].add(line["side"])
    unpaired = []
    for line in entries:
        if len(sides[line["person"]]) < 2:
            missing = "face" if line["side"] == "voice" else "voice"
            message = f"Every {missing} of this person was turned down."
            unpaired.append(LeftOut(line["key"], "no_pair", message))
    return [line for line in entries if len(sides[line["person"]]) == 2], unpaired


def _counts(
    plan: Plan, entries: Sequence[Line], people: Sequence[Person], rejects: Sequence[LeftOut]
) -> dict[str, Any]:
    parts: dict[str, dict[str, int]] = {
        split: {
            "people": sum(person.split == split for person in people),
            "voices": sum(line["split"] == split and line["side"] == "voice" for line in entries),
            "faces": sum(line["split"] == split and line["side"] == "face" for line in entries),
        }
        for split in SPLITS
    }
    return {
        "inputs": len(plan.entries) + len(plan.left_out),
        "entries": len(entries),
        "people": len(people),
        "people_without_entries": len(plan.people) - len(people),
        "seconds_of_speech": round(sum(line["duration_seconds"] or 0.0 for line in entries), 3),
        "by_split": parts,
        "rejects": by_reason(rejects),
    }


def _people_lines(people: Sequence[Person], entries: Sequence[Line]) -> bytes:
    counts = Counter((line["person"], line["side"]) for line in entries)
    lines = (
        {**asdict(person), "voices": counts[person.id, "voice"], "faces": counts[person.id, "face"]}
        for person in people
    )
    return b"".join(canonical_json(line) + b"\n" for line in lines)


def _features(shards: Sequence[Line]) -> dict[str, Any]:
    """Type and shape of each feature, which all shards share."""
    features: dict[str, Any] = {}
    for shard in shards:
        for what, form in shard["features"].items():
            if features.setdefault(what, form) != form:
                raise ValueError(f"shards hold {what} of different shapes: {features[what]} and {form}")
    return features


def _face_encoder(shards: Sequence[Line]) -> Line | None:
    """The encoder that made the embeddings; None where they were made before, or there are none."""
    named: list[Line] = [shard["face_encoder"] for shard in shards if shard["face_encoder"] is not None]
    if any(one != named[0] for one in named):
        raise ValueError("the shards' embeddings were made by different encoders")
    return named[0] if named else None


def _ast_statistics(shards: Sequence[Line], kept: set[int]) -> Line | None:
    """Mean and standard deviation over the frames of the train split; None where it has none."""
    sums = FrameSums.pooled(
        FrameSums(*rest)
        for shard in shards
        if shard["split"] == "train"
        for number, *rest in shard["statistics"][AST]
        if number in kept
    )
    if not sums.values:
        return None
    return {"split": "train", "frames": sums.frames, "mean": sums.mean, "std": sums.std}


def _shard_line(shard: Line) -> Line:
    return {
        "number": shard["number"],
        "split": shard["split"],
        "file": f"shards/{shard['number']:05d}.tar",
        "sha256": shard["sha256"],
        "size_bytes": shard["size_bytes"],
        "entries": len(shard["entries"]),
    }


def _vouched(content: bytes) -> Line:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def _summary(counts: Line, shards: Sequence[Line], files: dict[str, bytes]) -> Line:
    """What lists of datasets show."""
    size = sum(shard["size_bytes"] for shard in shards) + sum(map(len, files.values()))
    names = ("entries", "people", "seconds_of_speech", "by_split", "rejects")
    more = {
        "rejected": sum(counts["rejects"].values()),
        "size_bytes": size,
        # What can be trained on it is asked before anything is fetched.
        "features": sorted(
            {name for shard in shards for one in shard["entries"] for name in one["members"]} - {"json"}
        ),
    }
    return {**{name: counts[name] for name in names}, **more}
