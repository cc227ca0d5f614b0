"""The VGGFace score: whether drawn faces look like distinct people to a classifier of faces (SF2F, arXiv 2006.05888).

It is the Inception score (Salimans et al., arXiv 1606.03498) with a classifier of 8,631 people in place of one of
things. It looks at no voice and no true face: distinct faces of the wrong people score high.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from worker.ml.metrics.intervals import Numbers

PARTS = 5


class Score(NamedTuple):
    """Mean and standard deviation over the parts."""

    value: float
    spread: float


def vggface_score(log_probabilities: Numbers, *, parts: int = PARTS, seed: int = 0) -> Score:
    """exp( mean over x of KL( p(y|x) || p(y) ) ), where p(y) is the mean over a part, over random parts.

    Between 1 (all faces are the same person to the classifier) and the number of faces in a part, so it grows with how
    many there are: only scores of equally many faces compare.

    Args:
        log_probabilities: `[N, classes]`, natural logarithms.
        parts: the published number is 5.

    Raises:
        ValueError: fewer faces than parts.
    """
    if len(log_probabilities) < parts:
        raise ValueError(f"{parts} parts take at least {parts} faces.")
    order = np.random.default_rng(seed).permutation(len(log_probabilities))
    scores = []
    for part in np.array_split(order, parts):
        logs = log_probabilities[part].astype(np.float64)
        probabilities = np.exp(logs)
        marginal = np.log(np.maximum(probabilities.mean(axis=0), 1e-300))
        scores.append(float(np.exp((probabilities * (logs - marginal)).sum(axis=1).mean())))
    return Score(float(np.mean(scores)), float(np.std(scores)))
