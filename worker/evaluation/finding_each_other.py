"""Measures of two sides that should find each other: matching, verification and retrieval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from worker.evaluation.findings import Findings
from worker.ml.metrics.embeddings import mean_by_person, unit_length
from worker.ml.metrics.intervals import Integers, Numbers, mean_over_people
from worker.ml.metrics.matching import UNKNOWN_GROUP, Vectors, matching
from worker.ml.metrics.retrieval import average_precision, recall_at, recall_in_galleries
from worker.ml.metrics.verification import scored_pairs, verification

WAYS = (2, 10)
RECALLS = (1, 5, 10)
CURVE = (1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Side:
    """Vectors of one side.

    Attributes:
        vectors: `[N, D]`; rows of zeros for pictures without a face.
        people: `[N]`, places in the sample.
    """

    vectors: Vectors
    people: Integers


def measure_finding(
    findings: Findings,
    queries: Side,
    targets: Side,
    groups: Integers,
    *,
    directions: tuple[str, str | None],
    judge: str = "",
    by: str,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> dict[int, float]:
    """Enter matching, AUC and retrieval of queries among targets.

    Args:
        groups: gender of each person, or `UNKNOWN_GROUP`.
        directions: names of the way there and back, such as `voice_to_face` and `face_to_voice`.
        judge: put behind every name, such as `.dlib`.
        by: says in words whose vectors these are.
        between: called between the slow ones.

    Returns:
        R@K for the K of `CURVE`, for a chart.
    """
    first, second = unit_length(queries.vectors), unit_length(targets.vectors)
    people = len(groups)
    labelled = bool((groups != UNKNOWN_GROUP).any())
    ways_there = [(directions[0], first, queries.people, second, targets.people)]
    if directions[1] is not None:
        ways_there.append((directions[1], second, targets.people, first, queries.people))
    for group, ending in ((None, ""), (groups, ".same_gender")):
        if group is not None and not labelled:
            for what in ("matching.*", "auc"):
                findings.leave_out(f"{what}{ending}{judge}", "The dataset does not say people's gender.")
            continue
        for name, asked, askers, among, owners in ways_there:
            for ways in WAYS:
                between()
                won = matching(asked, among, askers, owners, ways, groups=group, seed=seed)
                full = f"matching.{name}.{ways}{ending}{judge}"
                if np.isnan(won).all():
                    findings.leave_out(full, f"There are too few people to choose among {ways}.")
                    continue
                interval = mean_over_people(won, askers, share=True, seed=seed)
                findings.add(full, interval, "higher", 1 / ways, by=by)
        between()
        pairs = scored_pairs(first, second, queries.people, targets.people, groups=group, seed=seed)
        findings.add(f"auc{ending}{judge}", verification(pairs, seed=seed), "higher", 0.5, by=by)
    return _retrieval(findings, first, queries.people, second, targets.people, people, judge, by, seed)


def _retrieval(
    findings: Findings,
    queries: Vectors,
    askers: Integers,
    targets: Vectors,
    owners: Integers,
    people: int,
    judge: str,
    by: str,
    seed: int,
) -> dict[int, float]:
    gallery = mean_by_person(targets, owners, people)
    ks = tuple(sorted({*RECALLS, *(k for k in CURVE if k <= people)}))
    recalls = recall_at(queries, gallery, askers, ks)
    for k in RECALLS:
        interval = mean_over_people(recalls[k], askers, share=True, seed=seed)
        findings.add(
            f"retrieval.r{k}{judge}", interval, "higher", min(1.0, k / people), gallery=people, by=by
        )
    precision = average_precision(queries, targets, askers, owners, seed=seed)
    chance = _chance_of_precision(len(targets), len(targets) / people)
    interval = mean_over_people(precision, askers, seed=seed)
    findings.add(f"retrieval.map{judge}", interval, "higher", chance, gallery=len(targets), by=by)
    inside = recall_in_galleries(queries, gallery, askers)
    if inside is None:
        findings.leave_out(
            f"retrieval.of100.*{judge}", f"A gallery of 100 takes 100 people, and here are {people}."
        )
    else:
        galleries = min(3, people // 100)
        asked = askers[askers < 100 * galleries]
        for k, values in inside.items():
            # In the order of the galleries, which is that of people: queries lie person by person.
            interval = mean_over_people(values, np.sort(asked), share=True, seed=seed)
            findings.add(
                f"retrieval.of100.r{k}{judge}",
                interval,
                "higher",
                k / 100,
                gallery=100,
                galleries=galleries,
                by=by,
            )
    return {k: float(mean_over_people(recalls[k], askers).value) for k in ks if k in CURVE and k <= people}


def _chance_of_precision(gallery: int, own: float) -> float:
    """Average precision of a random order, with the mean number of own ones in the gallery.

    For one own one it is the mean of 1/rank; for R of G, (1/G)·sum over ranks k of (1 + (k-1)(R-1)/(G-1))/k.
    """
    ranks: Numbers = np.arange(1, gallery + 1, dtype=np.float64)
    if gallery == 1:
        return 1.0
    return float(((1 + (ranks - 1) * (own - 1) / (gallery - 1)) / ranks).mean())
