"""The adversarial losses against their formulas, computed a second time in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from worker.ml.losses.adversarial import (
    Form,
    discriminator_loss,
    generator_loss,
    other_identities,
    r1_penalty,
)

Scores = npt.NDArray[np.float64]
REAL: Scores = np.array([1.2, -0.3, 0.7, 2.0])
DRAWN: Scores = np.array([0.4, 0.9, -1.5, 0.1])
OTHER: Scores = np.array([0.2, -0.8, 1.1, 0.6])


def g(scores: Scores) -> Scores:
    return -np.log(1 / (1 + np.exp(-scores)))


def tensors(*scores: Scores) -> list[torch.Tensor]:
    return [torch.tensor(one, dtype=torch.float32) for one in scores]


EXPECTED: dict[Form, tuple[float, float, float, float]] = {
    # Discriminator: adversarial, identity; generator: adversarial, identity.
    "relativistic": (
        g(REAL - DRAWN).mean(),
        g(REAL - OTHER).mean(),
        g(DRAWN - REAL).mean(),
        g(DRAWN - OTHER).mean(),
    ),
    "relativistic_average": (
        (g(REAL - DRAWN.mean()).mean() + g(REAL.mean() - DRAWN).mean()) / 2,
        g(REAL - OTHER).mean(),
        (g(DRAWN - REAL.mean()).mean() + g(DRAWN.mean() - REAL).mean()) / 2,
        g(DRAWN - OTHER).mean(),
    ),
    "standard": (g(REAL).mean() + g(-DRAWN).mean(), g(-OTHER).mean(), g(DRAWN).mean(), 0.0),
}


@pytest.mark.parametrize("form", list(EXPECTED))
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_losses_are_those_of_the_formulas(form: Form, weight: float) -> None:
    real, drawn, other = tensors(REAL, DRAWN, OTHER)
    against, identity, towards, drawn_identity = EXPECTED[form]
    judged = discriminator_loss(real, drawn, other, form=form, identity_weight=weight)
    drawing = generator_loss(real, drawn, other, form=form, identity_weight=weight)
    assert judged.adversarial.item() == pytest.approx(against, rel=1e-5)
    assert judged.identity.item() == pytest.approx(weight * identity, rel=1e-5)
    assert judged.total.item() == pytest.approx(against + weight * identity, rel=1e-5)
    assert drawing.adversarial.item() == pytest.approx(towards, rel=1e-5)
    assert drawing.identity.item() == pytest.approx(weight * drawn_identity, rel=1e-5)
    assert drawing.total.item() == pytest.approx(towards + weight * drawn_identity, rel=1e-5)


def test_relativistic_losses_are_binary_cross_entropy_of_differences() -> None:
    real, drawn = tensors(REAL, DRAWN)
    ones = torch.ones(4)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        discriminator_loss(real, drawn, identity_weight=0).total, bce(real - drawn, ones)
    )
    torch.testing.assert_close(generator_loss(real, drawn, identity_weight=0).total, bce(drawn - real, ones))


@pytest.mark.parametrize("form", list(EXPECTED))
def test_without_identity_terms_no_other_condition_is_needed_and_with_them_one_is(form: Form) -> None:
    real, drawn = tensors(REAL, DRAWN)
    for loss in (discriminator_loss, generator_loss):
        terms = loss(real, drawn, form=form, identity_weight=0.0)
        assert terms.identity.item() == 0.0
        assert terms.total.item() == terms.adversarial.item()
    with pytest.raises(ValueError, match="another identity"):
        discriminator_loss(real, drawn, form=form)


def test_scores_far_apart_cost_what_they_should_and_stay_finite() -> None:
    (real, drawn) = torch.tensor([1e4, -1e4]), torch.tensor([-1e4, 1e4])
    assert discriminator_loss(real, drawn, identity_weight=0).total.item() == pytest.approx(1e4)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="no form 'wasserstein'"):
        generator_loss(torch.zeros(1), torch.zeros(1), form="wasserstein", identity_weight=0)  # type: ignore[arg-type]


def test_the_penalty_is_ten_times_the_mean_squared_norm_of_the_slope() -> None:
    faces = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    scores = (faces**3).sum(dim=(1, 2, 3))
    slopes = 3 * faces.detach().double().numpy() ** 2
    expected = 10 * (slopes**2).reshape(5, -1).sum(axis=1).mean()
    penalty = r1_penalty(scores, faces)
    assert penalty.item() == pytest.approx(expected, rel=1e-5)
    assert r1_penalty((faces**3).sum(dim=(1, 2, 3)), faces, gamma=1.0).item() == pytest.approx(
        expected / 20, rel=1e-5
    )


def test_the_penalty_teaches_the_discriminator_to_be_flat() -> None:
    weight = torch.full((12,), 0.5, requires_grad=True)
    faces = torch.randn(5, 3, 2, 2).requires_grad_()
    penalty = r1_penalty(faces.flatten(1) @ weight, faces)
    # 10·|w|², whatever the faces: its slope is 20·w.
    assert penalty.item() == pytest.approx(10 * 12 * 0.25)
    (slope,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(slope, torch.full((12,), 10.0))


def test_every_row_gets_another_identity_and_all_others_get_their_turn() -> None:
    identities = torch.tensor([3, 3, 8, 1, 8, 3])
    generator = torch.Generator().manual_seed(0)
    seen: list[set[int]] = [set() for _ in identities]
    for _ in range(200):
        rows = other_identities(identities, generator)
        assert (identities[rows] != identities).all()
        for row, other in enumerate(rows.tolist()):
            seen[row].add(other)
    for row, others in enumerate(seen):
        assert others == {at for at in range(6) if identities[at] != identities[row]}


def test_a_batch_of_one_identity_is_refused() -> None:
    with pytest.raises(ValueError, match="two identities"):
        other_identities(torch.tensor([4, 4, 4]))
