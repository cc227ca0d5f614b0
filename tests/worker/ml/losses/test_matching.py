"""A voice has to find its face among others and a face its voice, whoever the others are and wherever they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from worker.ml.losses.matching import Mix, choose_negatives, matching_loss


def embeddings(rows: int, seed: int, length: int = 5) -> torch.Tensor:
    return torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))


def n_pair(scores: npt.NDArray[np.float64]) -> float:
    """Mean over rows of log(1 + sum of exp(other - own)); the own score is on the diagonal."""
    own = np.diag(scores)
    others = np.exp(scores - own[:, None]).sum(axis=1) - 1
    return float(np.log1p(others).mean())


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_each_direction_is_the_n_pair_loss(scale: float) -> None:
    faces, voices = embeddings(6, 0), embeddings(6, 1)
    loss = matching_loss(faces, voices, scale=scale)
    scores = scale * faces.double().numpy() @ voices.double().numpy().T
    assert loss.voice_to_face.item() == pytest.approx(n_pair(scores.T), rel=1e-5)
    assert loss.face_to_voice.item() == pytest.approx(n_pair(scores), rel=1e-5)
    assert loss.total.item() == pytest.approx((n_pair(scores) + n_pair(scores.T)) / 2, rel=1e-5)
    assert loss.distance.item() == 0.0


def test_the_distance_between_matches_can_be_added() -> None:
    faces, voices = embeddings(4, 0), embeddings(4, 1)
    plain, with_distance = matching_loss(faces, voices), matching_loss(faces, voices, distance_weight=0.02)
    expected = 0.02 * float(np.mean((faces.numpy() - voices.numpy()) ** 2))
    assert (with_distance.total - plain.total).item() == pytest.approx(expected, rel=1e-4)


def test_guessing_costs_the_logarithm_of_the_number_of_candidates() -> None:
    loss = matching_loss(torch.ones(8, 3), torch.ones(8, 3), extra_faces=torch.ones(24, 3))
    assert loss.face_to_voice.item() == pytest.approx(np.log(8), rel=1e-5)
    assert loss.voice_to_face.item() == pytest.approx(np.log(32), rel=1e-5)


def test_halves_with_each_others_candidates_make_the_whole_batch() -> None:
    """What several processes compute with gathered candidates, gradients included."""
    faces, voices = (embeddings(6, seed).requires_grad_() for seed in (2, 3))
    whole = torch.autograd.grad(matching_loss(faces, voices).total, (faces, voices))
    halves = [
        matching_loss(faces[a], voices[a], extra_faces=faces[b], extra_voices=voices[b]).total
        for a, b in ((slice(0, 3), slice(3, 6)), (slice(3, 6), slice(0, 3)))
    ]
    mean = (halves[0] + halves[1]) / 2
    torch.testing.assert_close(mean, matching_loss(faces, voices).total)
    torch.testing.assert_close(torch.autograd.grad(mean, (faces, voices)), whole)


def test_only_chosen_negatives_count() -> None:
    faces, voices = embeddings(4, 4), embeddings(4, 5)
    negatives = torch.zeros(4, 4, dtype=torch.bool)
    negatives[torch.arange(4), (torch.arange(4) + 1) % 4] = True
    loss = matching_loss(faces, voices, negatives=negatives)
    scores = faces.double().numpy() @ voices.double().numpy().T
    rows = np.arange(4)
    next_one = (rows + 1) % 4
    to_voice = np.log1p(np.exp(scores[rows, next_one] - scores[rows, rows])).mean()
    to_face = np.log1p(np.exp(scores[next_one, rows] - scores[rows, rows])).mean()
    assert loss.face_to_voice.item() == pytest.approx(to_voice, rel=1e-5)
    assert loss.voice_to_face.item() == pytest.approx(to_face, rel=1e-5)


def test_a_query_without_any_negative_costs_nothing_and_breaks_nothing() -> None:
    faces = embeddings(3, 6).requires_grad_()
    loss = matching_loss(faces, embeddings(3, 7), negatives=torch.zeros(3, 3, dtype=torch.bool)).total
    (slope,) = torch.autograd.grad(loss, faces)
    assert loss.item() == 0.0
    assert not slope.any()


def test_all_negatives_are_everybody_else() -> None:
    chosen = choose_negatives(torch.arange(3), extra_identities=torch.tensor([7, 8]))
    assert chosen.tolist() == [[0, 1, 1, 1, 1], [1, 0, 1, 1, 1], [1, 1, 0, 1, 1]]


def test_another_clip_of_the_same_person_is_no_negative() -> None:
    chosen = choose_negatives(torch.tensor([5, 6, 5]), extra_identities=torch.tensor([6, 9]))
    assert chosen.tolist() == [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1], [0, 1, 0, 1, 1]]


@pytest.mark.parametrize("mix", ["any", "balanced", "same"])
def test_as_many_negatives_are_drawn_as_are_asked_for_and_a_seed_decides_which(mix: Mix) -> None:
    groups = torch.arange(40) % 2
    chosen, again, other = (
        choose_negatives(
            torch.arange(40), count=6, mix=mix, groups=groups, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert chosen.sum(dim=1).tolist() == [6] * 40
    assert not chosen.diagonal().any()
    assert torch.equal(chosen, again)
    assert not torch.equal(chosen, other)


def test_every_candidate_is_drawn_about_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    identities = torch.arange(10)
    drawn = sum(
        choose_negatives(identities, count=3, generator=generator).int().sum(dim=0) for _ in range(400)
    )
    assert isinstance(drawn, torch.Tensor)
    assert drawn.sum().item() == 400 * 30
    # 1200 each on average; the standard deviation is below 30.
    assert drawn.min().item() > 1050 and drawn.max().item() < 1350


def test_balanced_negatives_hold_as_many_of_every_group_however_unequal_the_groups() -> None:
    groups = torch.tensor([0] * 50 + [1] * 10)
    chosen = choose_negatives(
        torch.arange(60), count=8, mix="balanced", groups=groups, generator=torch.Generator().manual_seed(3)
    )
    assert (chosen & (groups == 1)).sum(dim=1).tolist() == [4] * 60
    # Without balance the larger group would have nearly all.
    plain = choose_negatives(torch.arange(60), count=8, generator=torch.Generator().manual_seed(3))
    assert (plain & (groups == 1)).float().sum(dim=1).mean().item() < 2


def test_a_group_that_runs_out_is_made_up_for_by_the_other() -> None:
    groups = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    chosen = choose_negatives(torch.arange(7), count=5, mix="balanced", groups=groups)
    assert chosen.sum(dim=1).tolist() == [5] * 7
    assert (chosen & (groups == 1)).sum(dim=1).tolist() == [2, 2, 2, 2, 2, 1, 1]


def test_negatives_of_the_same_group_are_of_the_querys_own() -> None:
    groups, extra = torch.tensor([0, 1, 0, 1, 1]), torch.tensor([0, 1])
    chosen = choose_negatives(
        torch.arange(5),
        extra_identities=torch.tensor([8, 9]),
        mix="same",
        groups=groups,
        extra_groups=extra,
        count=9,
    )
    everybody = torch.cat([groups, extra])
    for row in range(5):
        expected = [other for other in range(7) if other != row and everybody[other] == groups[row]]
        assert chosen[row].nonzero().flatten().tolist() == expected


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs"):
        matching_loss(torch.zeros(3, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="do not fit"):
        matching_loss(
            torch.zeros(3, 4),
            torch.zeros(3, 4),
            negatives=torch.ones(3, 3, dtype=torch.bool),
            extra_faces=torch.zeros(1, 4),
        )
    with pytest.raises(ValueError, match="group of every candidate"):
        choose_negatives(torch.arange(3), mix="same")
    with pytest.raises(ValueError, match="count"):
        choose_negatives(torch.arange(3), mix="balanced", groups=torch.zeros(3))
    with pytest.raises(ValueError, match="no mix"):
        choose_negatives(torch.arange(3), mix="hard")  # type: ignore[arg-type]
