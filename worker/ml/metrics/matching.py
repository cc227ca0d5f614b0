"""K-way matching: how often the own one of K candidates is found to be nearest.

The protocol of voice–face matching since SVHF-Net (Nagrani et al., CVPR 2018, arXiv 1804.00326): a query of one
side, K candidates of the other, exactly one of them of the same person. Chance is 1/K. With negatives of the query's
own group (gender) it is harder, since a guess of the group no longer helps.

Where everybody has one candidate, nothing is drawn by lot: the answer is the mean over *all* choices of negatives,
which sampling approaches with ever more trials. Where people have several, each trial draws one of the own candidates,
K-1 other people, and one candidate of each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.ml.metrics.intervals import Integers, Numbers

Vectors = npt.NDArray[np.float32]
TRIALS = 100
_QUERIES_AT_ONCE = 512
UNKNOWN_GROUP = -1


def matching(
    queries: Vectors,
    candidates: Vectors,
    query_people: Integers,
    candidate_people: Integers,
    ways: int,
    *,
    groups: Integers | None = None,
    trials: int = TRIALS,
    seed: int = 0,
) -> Numbers:
    """How often each query finds its own among `ways` candidates; ties count as a guess among those that tie.

    Args:
        queries, candidates: `[Q, D]` and `[C, D]`; the inner product says how near, so bring them to unit length for
            cosines. Rows of zeros are near to nobody.
        query_people, candidate_people: `[Q]` and `[C]`, whose they are, numbers from 0.
        groups: `[people]`; given, all candidates are of the query's group, and people of `UNKNOWN_GROUP` stay out.
        trials: for each query, where people have several candidates.
        seed: of the trials; query i draws the same whatever the others are.

    Returns:
        `[Q]`, from 0 to 1; NaN for queries without an own candidate or with fewer than `ways` - 1 rivals.
    """
    if ways < 2:
        raise ValueError(f"There is nothing to choose among {ways} candidates.")
    single = len(np.unique(candidate_people)) == len(candidate_people)
    answer = np.full(len(queries), np.nan)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        scores = queries[some] @ candidates.T
        own = query_people[some, None] == candidate_people[None]
        rivals = ~own
        if groups is not None:
            mine, theirs = groups[query_people[some]], groups[candidate_people]
            rivals &= (mine[:, None] == theirs[None]) & (mine[:, None] != UNKNOWN_GROUP)
        if single:
            answer[some] = _over_all_choices(scores, own, rivals, ways)
        else:
            answer[some] = [
                _over_trials(row, mine, other, candidate_people, ways, trials, (seed, start + number))
                for number, (row, mine, other) in enumerate(zip(scores, own, rivals, strict=True))
            ]
    return answer


def share_won(rivals: Numbers, nearer: Numbers, tied: Numbers, ways: int) -> Numbers:
    """The share of all choices of `ways` - 1 rivals in which the own one wins.

    Of `rivals`, `nearer` beat it and `tied` are as near. A choice with j tied and no nearer ones is won with 1/(1+j):

        sum over j of C(tied, j) · C(rivals - nearer - tied, ways-1-j) / C(rivals, ways-1) / (1 + j)

    Args:
        rivals, nearer, tied: counts, `[Q]` each.

    Returns:
        `[Q]`, from 0 to 1; NaN where there are fewer than `ways` - 1 rivals.
    """
    farther = rivals - nearer - tied
    drawn = ways - 1
    won = sum(_choose(tied, j) * _choose(farther, drawn - j) / (1 + j) for j in range(drawn + 1))
    all_choices = _choose(rivals, drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Numbers = np.where(all_choices > 0, won / all_choices, np.nan)
    return share


def _choose(among: Numbers, how_many: int) -> Numbers:
    product = np.ones_like(among, dtype=np.float64)
    for taken in range(how_many):
        product *= (among - taken) / (taken + 1)
    return np.maximum(product, 0.0)


def _over_all_choices(
    scores: Vectors, own: npt.NDArray[np.bool_], rivals: npt.NDArray[np.bool_], ways: int
) -> Numbers:
    mine = np.where(own, scores, -np.inf).max(axis=1, keepdims=True)
    nearer = ((scores > mine) & rivals).sum(axis=1).astype(np.float64)
    tied = ((scores == mine) & rivals).sum(axis=1).astype(np.float64)
    share = share_won(rivals.sum(axis=1).astype(np.float64), nearer, tied, ways)
    return np.where(own.any(axis=1), share, np.nan)


def _over_trials(
    scores: Vectors,
    own: npt.NDArray[np.bool_],
    rivals: npt.NDArray[np.bool_],
    people: Integers,
    ways: int,
    trials: int,
    seed: tuple[int, int],
) -> float:
    mine, others = np.flatnonzero(own), np.flatnonzero(rivals)
    # Candidates lie person by person after this, so that one of a person is a place between two borders.
    others = others[np.argsort(people[others], kind="stable")]
    _, first, counts = np.unique(people[others], return_index=True, return_counts=True)
    if len(mine) == 0 or len(first) < ways - 1:
        return float("nan")
    chance = np.random.default_rng(seed)
    whom = _distinct(chance, len(first), trials, ways - 1)
    which = first[whom] + (chance.random(whom.shape) * counts[whom]).astype(np.int64)
    positive = scores[chance.choice(mine, trials)][:, None]
    negatives = scores[others[which]]
    tied = (negatives == positive).sum(axis=1)
    return float(np.where((negatives > positive).any(axis=1), 0.0, 1.0 / (1 + tied)).mean())


def _distinct(chance: np.random.Generator, among: int, rows: int, columns: int) -> Integers:
    """Rows of different numbers below `among`."""
    if among < 4 * columns:  # drawing again until they differ would take long
        return chance.permuted(np.tile(np.arange(among), (rows, 1)), axis=1)[:, :columns]
    drawn = chance.integers(among, size=(rows, columns))
    while True:
        ordered = np.sort(drawn, axis=1)
        again = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        if not again.any():
            return drawn
        drawn[again] = chance.integers(among, size=(int(again.sum()), columns))
