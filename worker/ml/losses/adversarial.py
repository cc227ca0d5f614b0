"""Drawn faces against real ones, and faces against the voices they should go with.

A reconstruction of the relativistic identity loss that Choi, Park and Lee (arXiv 2004.05830) describe; their formula
could not be had. The first terms are those of relativistic GANs (Jolicoeur-Martineau, arXiv 1807.00734, and published
code), the second ask the same question of conditions: does the face go better with its own voice than with another's.
The penalty is R1 of Mescheder et al. (arXiv 1801.04406). Below, g(x) = softplus(-x) = -log sigmoid(x).

Scores come from a discriminator D(face, condition): c is the condition of a face f, c' another identity's, and
f~ = G(z, c).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch.nn import functional as F

Form = Literal["relativistic", "relativistic_average", "standard", "hinge"]


class AdversarialTerms(NamedTuple):
    """Scalars; `total` is the sum of the others."""

    total: torch.Tensor
    adversarial: torch.Tensor
    identity: torch.Tensor


def discriminator_loss(
    real: torch.Tensor,
    drawn: torch.Tensor,
    real_with_other: torch.Tensor | None = None,
    *,
    form: Form = "relativistic",
    identity_weight: float = 1.0,
) -> AdversarialTerms:
    """What the discriminator makes small, without its penalty.

    `relativistic`: E g(D(f,c) - D(f~,c)) + w·E g(D(f,c) - D(f,c')).
    `relativistic_average`: ½·[E g(D(f,c) - E D(f~,c)) + E g(E D(f,c) - D(f~,c))], identity term as above.
    `standard`, the ablation without differences: E g(D(f,c)) + E g(-D(f~,c)) + w·E g(-D(f,c')), where a real face with
    another's voice counts as drawn, as Reed et al. (arXiv 1605.05396) have it for texts.
    `hinge`: the same with max(0, 1 - x) in place of g(x) (Lim and Ye, arXiv 1705.02894).

    Args:
        real, drawn: D(f,c) and D(f~,c), `[B]`.
        real_with_other: D(f,c'), `[B]`; may be left out when the weight is zero.
        identity_weight: w; zero is the ablation without identity terms.
    """
    if form in ("standard", "hinge"):
        miss = _g if form == "standard" else _hinge
        adversarial = (miss(real) + miss(-drawn)).mean()
        identity = _identity(real_with_other, identity_weight, lambda other: miss(-other))
    else:
        adversarial = _relativistic(real, drawn, form)
        identity = _identity(real_with_other, identity_weight, lambda other: _g(real - other))
    return _terms(adversarial, identity_weight, identity)


def generator_loss(
    real: torch.Tensor,
    drawn: torch.Tensor,
    drawn_with_other: torch.Tensor | None = None,
    *,
    form: Form = "relativistic",
    identity_weight: float = 1.0,
) -> AdversarialTerms:
    """What the generator makes small.

    `relativistic`: E g(D(f~,c) - D(f,c)) + w·E g(D(f~,c) - D(f~,c')).
    `relativistic_average`: ½·[E g(D(f~,c) - E D(f,c)) + E g(E D(f~,c) - D(f,c))], identity term as above.
    `standard`: E g(D(f~,c)). Its identity term is zero: a drawn face with another's voice is no part of that game.
    `hinge`: E -D(f~,c), likewise.

    Args:
        real, drawn: D(f,c) and D(f~,c), `[B]`.
        drawn_with_other: D(f~,c'), `[B]`; may be left out when the weight is zero, and for `standard` and `hinge`.
        identity_weight: w; zero is the ablation without identity terms.
    """
    if form in ("standard", "hinge"):
        adversarial = _g(drawn).mean() if form == "standard" else -drawn.float().mean()
        return _terms(adversarial, 0.0, None)
    adversarial = _relativistic(drawn, real, form)
    identity = _identity(drawn_with_other, identity_weight, lambda other: _g(drawn - other))
    return _terms(adversarial, identity_weight, identity)


def r1_penalty(scores: torch.Tensor, faces: torch.Tensor, gamma: float = 20.0) -> torch.Tensor:
    """gamma/2 · E |gradient of D(f, c) with respect to f|², on real faces alone.

    With the default this is 10 times the mean squared norm, the setting of Mescheder et al.

    Args:
        scores: D(f,c), `[B]`, computed from `faces`.
        faces: real ones, `[B, 3, S, S]`, that required gradients before the scores were computed.
    """
    (slope,) = torch.autograd.grad(scores.sum(), faces, create_graph=True)
    return gamma / 2 * slope.float().square().flatten(1).sum(dim=1).mean()


def other_identities(identities: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """For each row of a batch a random row of another identity, int `[B]`: where to take c' from.

    Args:
        identities: int `[B]`, any numbers that tell identities apart.
        generator: of the draws, on the CPU.

    Raises:
        ValueError: there is only one identity.
    """
    different = identities[:, None] != identities[None, :]
    if not bool(different.any(dim=1).all()):
        raise ValueError("A batch needs two identities at least, or no face has another's voice.")
    draws = torch.rand(different.shape, generator=generator).to(different.device)
    return draws.masked_fill(~different, -1.0).argmax(dim=1)


def _g(scores: torch.Tensor) -> torch.Tensor:
    return F.softplus(-scores.float())


def _hinge(scores: torch.Tensor) -> torch.Tensor:
    return F.relu(1 - scores.float())


def _relativistic(better: torch.Tensor, worse: torch.Tensor, form: Form) -> torch.Tensor:
    """Small where `better` scores are above `worse` ones, row by row or against the other's mean."""
    if form == "relativistic":
        return _g(better - worse).mean()
    if form == "relativistic_average":
        return (_g(better - worse.mean()).mean() + _g(better.mean() - worse).mean()) / 2
    raise ValueError(f"There is no form {form!r}; use relativistic, relativistic_average, standard or hinge.")


def _identity(
    other: torch.Tensor | None, weight: float, penalty: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor | None:
    if weight == 0:
        return None
    if other is None:
        raise ValueError("The identity term needs scores with another identity's condition, or weight 0.")
    return penalty(other).mean()


def _terms(adversarial: torch.Tensor, weight: float, identity: torch.Tensor | None) -> AdversarialTerms:
    weighted = torch.zeros_like(adversarial) if identity is None else weight * identity
    return AdversarialTerms(adversarial + weighted, adversarial, weighted)
