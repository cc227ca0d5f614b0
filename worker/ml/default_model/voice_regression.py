"""Fit `VoiceToFace` on real pairs: ridge regression, then the shrinkage undone by optimal transport.

Ridge regression predicts the average face of everybody who could have this voice, so its predictions vary far less
than faces do. Between two Gaussians there is one linear map that turns the first into the second and moves points as
little as possible: the optimal transport map. We fit the predictions (made out of fold, so that their spread is that
of unheard voices), fit the real faces, and apply that map. Directions that voices do predict stay in front; the rest
is filled in from the voice too, as far as `fill` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.voice_to_face import VoiceToFace

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RegressionSettings:
    """Numbers chosen on the validation split (docs/model.md has the table).

    Attributes:
        ridge: penalty of the regression, in units of one clip's squared (unit-mean) embedding.
        lean_ridge: the same for the feminine/masculine score.
        lean_gain: how steeply the lean saturates.
        lean_reach: how far it goes, in units of the distance between the average faces of men and women.
        fill: 0 keeps regression's own spread, 1 gives that of real faces.
        floor: smallest predicted standard deviation that is believed; caps how far noise can be amplified.
        folds: parts for the out-of-fold predictions.
    """

    ridge: float = 30.0
    lean_ridge: float = 3.0
    lean_gain: float = 6.0
    lean_reach: float = 1.2
    fill: float = 0.8
    floor: float = 0.03
    folds: int = 10


def fit(
    embeddings: npt.NDArray[np.float32],
    latents: npt.NDArray[np.float32],
    masculine: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    seed: int,
    settings: RegressionSettings,
) -> VoiceToFace:
    """Fit the head.

    Args:
        embeddings: voices `[N, E]`.
        latents: their faces `[N, K]`, averaged over the mirror image.
        masculine: label of each pair `[N]`.
        weights: how much each pair counts `[N]`, mean one (blurred targets count less).
        seed: decides the folds.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    unit = np.sqrt(np.mean(np.sum((embeddings - centre) ** 2, axis=1)))
    voices: Floats = (embeddings - centre) / unit
    label = np.where(masculine, 1.0, -1.0)
    means = {
        side: np.average(latents[label == side], axis=0, weights=weights[label == side]) for side in (-1, 1)
    }
    middle, half_gap = (means[1] + means[-1]) / 2, (means[1] - means[-1]) / 2
    residual: Floats = latents - middle - label[:, None] * half_gap

    fold = np.random.default_rng(seed).permutation(len(voices)) % settings.folds
    heard_not = np.zeros_like(residual)
    for part in range(settings.folds):
        rest = fold != part
        heard_not[~rest] = voices[~rest] @ _ridge(voices[rest], residual[rest], weights[rest], settings.ridge)
    stretch = _transport(_covariance(heard_not, weights), _covariance(residual, weights), settings.floor)
    stretch = (1 - settings.fill) * np.eye(len(middle)) + settings.fill * stretch

    spread = _ridge(voices, residual, weights, settings.ridge) @ stretch / unit
    lean = _ridge(voices, label, weights, settings.lean_ridge) * settings.lean_gain / unit
    head = VoiceToFace(embeddings.shape[1], latents.shape[1])
    values = {"centre": centre, "lean.weight": lean[None], "lean.bias": np.zeros(1), "middle": middle}
    values |= {"half_gap": half_gap * settings.lean_reach, "spread.weight": spread.T}
    head.load_state_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()})
    return head


def _ridge(inputs: Floats, targets: Floats, weights: Floats, penalty: float) -> Floats:
    """Weighted ridge regression without intercept. `[N, E]`, `[N]` or `[N, K]` -> `[E]` or `[E, K]`."""
    weighted = inputs * weights[:, None]
    return np.asarray(
        np.linalg.solve(inputs.T @ weighted + penalty * np.eye(inputs.shape[1]), weighted.T @ targets)
    )


def _covariance(points: Floats, weights: Floats) -> Floats:
    centred = points - np.average(points, axis=0, weights=weights)
    return np.asarray((centred * weights[:, None]).T @ centred / weights.sum())


def _root(matrix: Floats, power: float) -> Floats:
    """A power of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.maximum(values, 1e-12) ** power @ vectors.T)


def _transport(source: Floats, target: Floats, floor: float) -> Floats:
    """The symmetric map that carries N(0, source) to N(0, target) with the least movement, both `[K, K]`."""
    believed = source + floor**2 * np.eye(len(source))
    root, inverse = _root(believed, 0.5), _root(believed, -0.5)
    return np.asarray(inverse @ _root(root @ target @ root, 0.5) @ inverse)
