"""Retrieval: whereabouts in a gallery the own one is. Recall at K, and mean average precision.

R@K: the share of queries whose own person is among the K nearest of the gallery; guessing gives K/G. A number without
the size of its gallery says nothing. SF2F's variant (arXiv 2006.05888 and its published code) takes the first 300
people as three galleries of 100 and averages.
"""

from __future__ import annotations

import numpy as np

from worker.ml.metrics.intervals import Integers, Numbers
from worker.ml.metrics.matching import Vectors

SF2F_GALLERY, SF2F_GALLERIES = 100, 3
SF2F_RECALLS = (1, 2, 5, 10, 20, 50)
_QUERIES_AT_ONCE = 512


def recall_at(queries: Vectors, gallery: Vectors, own: Integers, ks: tuple[int, ...]) -> dict[int, Numbers]:
    """How surely each query's own one is among the K nearest; ties are in random order.

    Args:
        queries, gallery: `[Q, D]` and `[G, D]`, the latter one row a person; inner products say how near.
        own: `[Q]`, the row of the gallery that a query belongs to.

    Returns:
        For each K, `[Q]` from 0 to 1.
    """
    nearer, tied = np.empty(len(queries)), np.empty(len(queries))
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        scores = queries[some] @ gallery.T
        mine = np.take_along_axis(scores, own[some, None], axis=1)
        nearer[some] = (scores > mine).sum(axis=1)
        tied[some] = (scores == mine).sum(axis=1) - 1
    return {k: np.clip((k - nearer) / (tied + 1), 0.0, 1.0) for k in ks}


def average_precision(
    queries: Vectors, gallery: Vectors, query_people: Integers, gallery_people: Integers, *, seed: int = 0
) -> Numbers:
    """Average precision of each query: mean over its hits of (hits so far) / rank.

    Args:
        gallery: `[G, D]`, any number of rows for a person.
        seed: of the order of ties.

    Returns:
        `[Q]`; NaN where nothing in the gallery is the query's own.
    """
    mixed = np.random.default_rng(seed).permutation(len(gallery))
    gallery, gallery_people = gallery[mixed], gallery_people[mixed]
    answer = np.full(len(queries), np.nan)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        order = np.argsort(-(queries[some] @ gallery.T), axis=1, kind="stable")
        hits = gallery_people[order] == query_people[some, None]
        precision = np.cumsum(hits, axis=1) / np.arange(1, len(gallery) + 1)
        counts = hits.sum(axis=1)
        with np.errstate(invalid="ignore"):
            answer[some] = np.where(counts > 0, (precision * hits).sum(axis=1) / counts, np.nan)
    return answer


def recall_in_galleries(
    queries: Vectors, gallery: Vectors, query_people: Integers, ks: tuple[int, ...] = SF2F_RECALLS
) -> dict[int, Numbers] | None:
    """R@K in separate galleries of 100 people, at most three: the first people, in their order.

    Args:
        gallery: `[people, D]`, a row for each person.

    Returns:
        As `recall_at`, for the queries of people in one of the galleries; None for fewer than 100 people.
    """
    galleries = min(SF2F_GALLERIES, len(gallery) // SF2F_GALLERY)
    if galleries == 0:
        return None
    parts = []
    for number in range(galleries):
        start, end = number * SF2F_GALLERY, (number + 1) * SF2F_GALLERY
        inside = (query_people >= start) & (query_people < end)
        parts.append(recall_at(queries[inside], gallery[start:end], query_people[inside] - start, ks))
    return {k: np.concatenate([part[k] for part in parts]) for k in ks}
