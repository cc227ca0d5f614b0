"""What of a head is solved for in one go: how voices lean, where they point in a recogniser's space, and in face space.

All are ridge regressions on real pairs. Most of what voices tell lies along one direction, whether they are a man's or
a woman's; it is fitted by itself, and what is left of the faces after it by the rest of the head
(`identity_head.py`). Regression makes shorter predictions the less a voice tells; the lengths that real faces have are
given back there.
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
    """See `core.training.specs.DefaultModelTask`."""

    lean_ridge: float
    lean_gain: float
    lean_share: float
    lean_reach: float
    ridge: float
    latent_ridge: float
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
    sides: npt.NDArray[np.float32],
    identities: npt.NDArray[np.float32],
    latents: npt.NDArray[np.float32] | None,
    settings: RegressionSettings,
) -> Solved:
    """Fit voices to faces.

    Args:
        embeddings: of voices `[N, E]`.
        sides: -1 for women, 1 for men, 0 where it is not known `[N]`; with nobody on one side there is no lean.
        identities: of their people's faces, unit vectors or means of such `[N, I]`.
        latents: of the same faces `[N, K]`; without them what a head fills in directly stays as it is.
        settings: see there.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    voices: Floats = embeddings - centre
    unit = float(np.sqrt(np.mean(np.sum(voices**2, axis=1))))
    voices /= unit
    label: Floats = sides.astype(np.float64)
    mean = identities.mean(axis=0, dtype=np.float64)
    off = identities - mean
    lean = ridge(voices, label[:, None], settings.lean_ridge)[:, 0]
    middle, half_gap = _sides(off, label)
    rest = ridge(voices, off - middle - label[:, None] * half_gap, settings.ridge)
    length = float(np.linalg.norm(half_gap))
    share = settings.lean_share if length > 0 else 0.0
    state = {
        "centre": centre,
        "voice_to_lean": lean * (settings.lean_gain / unit),
        "lean_to_identity": half_gap * (np.sqrt(share) / max(length, 1e-9)),
        "voice_to_identity": rest / unit,
        "rest_length": np.asarray(np.sqrt(1 - share)),
    }
    if latents is not None:
        faces = latents.astype(np.float64)
        middle, half_gap = _sides(faces, label)
        rest = ridge(voices, faces - middle - label[:, None] * half_gap, settings.latent_ridge)
        length = float(np.sqrt(np.mean(np.sum((voices @ rest) ** 2, axis=1))))
        state |= {
            "middle": middle,
            "lean_to_latent": half_gap * settings.lean_reach,
            "voice_to_latent": rest * (settings.filled_in / max(length, 1e-9) / unit),
            "linear.weight": _PORTRAIT_START * ridge(off, faces, _PORTRAIT_RIDGE).T,
            "linear.bias": np.zeros(faces.shape[1]),
        }
    tensors = {name: torch.tensor(value, dtype=torch.float32) for name, value in state.items()}
    distance = float(np.linalg.norm(off, axis=1).mean())
    return Solved(tensors, mean.astype(np.float32), distance)


def ridge(inputs: Floats, targets: Floats, penalty: float) -> Floats:
    """Ridge regression without intercept. `[N, E]`, `[N, K]` -> `[E, K]`."""
    return np.asarray(
        np.linalg.solve(inputs.T @ inputs + penalty * np.eye(inputs.shape[1]), inputs.T @ targets)
    )


def _sides(values: Floats, label: Floats) -> tuple[Floats, Floats]:
    """The middle between the means of both sides, and half the way from one to the other. `[N, D]` -> `[D]` each."""
    if not (label < 0).any() or not (label > 0).any():
        return values.mean(axis=0), np.zeros(values.shape[1])
    low, high = values[label < 0].mean(axis=0), values[label > 0].mean(axis=0)
    return (low + high) / 2, (high - low) / 2
