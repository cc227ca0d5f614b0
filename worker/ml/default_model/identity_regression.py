"""What of a head is solved for in one go: where voices point in a recogniser's space, and in face space.

Both are ridge regressions on real pairs. Their predictions are shorter the less a voice tells, and most of what they
do tell lies along one direction: whether the voice is a man's or a woman's. Lengths are put right elsewhere
(`identity_head.py`); here that leading direction is made to count for less, since with everybody's prediction brought
to the same length it would otherwise leave little room for what tells people of the same gender apart. It is found
without labels: it is the first principal component of the predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
_PORTRAIT_RIDGE = 1.0
_PORTRAIT_START = 0.3  # of what regression says: much of it is in what the voice fills in already


@dataclass(frozen=True)
class RegressionSettings:
    """See `core.training_specs.DefaultModelTask`."""

    ridge: float
    latent_ridge: float
    leading_share: float
    latent_leading_share: float
    filled_in: float


@dataclass(frozen=True)
class Solved:
    """Of a head.

    Attributes:
        state: tensors of an `IdentityHead` by name; what is not there is learnt.
        mean_identity: of the training people `[I]`, not of unit length.
        distance: mean distance of theirs from it.
    """

    state: Mapping[str, torch.Tensor]
    mean_identity: npt.NDArray[np.float32]
    distance: float


def solve(
    embeddings: npt.NDArray[np.float32],
    identities: npt.NDArray[np.float32],
    latents: npt.NDArray[np.float32] | None,
    settings: RegressionSettings,
) -> Solved:
    """Fit voices to faces.

    Args:
        embeddings: of voices `[N, E]`.
        identities: of their people's faces, unit vectors or means of such `[N, I]`.
        latents: of the same faces `[N, K]`; without them only where voices point is fitted.
        settings: see there.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    voices: Floats = embeddings - centre
    unit = float(np.sqrt(np.mean(np.sum(voices**2, axis=1))))
    voices /= unit
    mean = identities.mean(axis=0, dtype=np.float64)
    off = identities - mean
    to_identity = _flattened(ridge(voices, off, settings.ridge), voices, settings.leading_share) / unit
    state = {"centre": centre, "voice_to_identity": to_identity}
    if latents is not None:
        to_latent = ridge(voices, latents.astype(np.float64), settings.latent_ridge)
        to_latent = _flattened(to_latent, voices, settings.latent_leading_share)
        length = np.sqrt(np.mean(np.sum((voices @ to_latent) ** 2, axis=1)))
        state["voice_to_latent"] = to_latent * (settings.filled_in / max(float(length), 1e-9) / unit)
        state["linear.weight"] = _PORTRAIT_START * ridge(off, latents.astype(np.float64), _PORTRAIT_RIDGE).T
        state["linear.bias"] = np.zeros(latents.shape[1])
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in state.items()}
    distance = float(np.linalg.norm(off, axis=1).mean())
    return Solved(tensors, mean.astype(np.float32), distance)


def ridge(inputs: Floats, targets: Floats, penalty: float) -> Floats:
    """Ridge regression without intercept. `[N, E]`, `[N, K]` -> `[E, K]`."""
    return np.asarray(
        np.linalg.solve(inputs.T @ inputs + penalty * np.eye(inputs.shape[1]), inputs.T @ targets)
    )


def _flattened(weights: Floats, inputs: Floats, share: float) -> Floats:
    """Weights `[E, K]` whose predictions keep only a share of their first principal component."""
    predicted = inputs @ weights
    first = np.linalg.eigh(predicted.T @ predicted)[1][:, -1]
    return np.asarray(weights - (1 - share) * np.outer(weights @ first, first))
