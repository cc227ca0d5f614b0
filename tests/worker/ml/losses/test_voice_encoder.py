"""The voice encoder's loss treats every voice alike and is a mean over them; the original's does neither."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from worker.ml.losses.voice_encoder import (
    SCRIPT_WEIGHTS,
    VoiceTerms,
    VoiceWeights,
    per_sample,
    script_weights,
    voice_encoder_loss,
)

Compat = Literal["original"] | None
LENGTH, CLASSES, UNITS = 6, 5, 7
ONES = VoiceWeights(1.0, 1.0, 1.0)


def linear(outputs: int, seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(LENGTH, outputs).requires_grad_(False)


LOGITS, FEATURES = linear(CLASSES, 0), linear(UNITS, 1)


def embeddings(seed: int, rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, LENGTH, generator=torch.Generator().manual_seed(seed))


def loss_of(
    voices: torch.Tensor, faces: torch.Tensor, compat: Compat = None, weights: VoiceWeights = ONES
) -> VoiceTerms:
    return voice_encoder_loss(
        voices, faces, face_logits=LOGITS, decoder_features=FEATURES, weights=weights, compat=compat
    )


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("compat", [None, "original"])
def test_terms_are_those_of_the_formulas(compat: Compat) -> None:
    voices, faces = embeddings(0), embeddings(1)
    terms = loss_of(voices, faces, compat, VoiceWeights(0.5, 3.0, 2.0))
    p, v = voices.double().numpy(), faces.double().numpy()

    def through(layer: nn.Linear, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(values @ layer.weight.double().numpy().T + layer.bias.double().numpy())

    teacher, student = softmax(through(LOGITS, v) / 2), softmax(through(LOGITS, p) / 2)
    distilled = -(teacher * np.log(student)).sum(axis=1)
    apart = np.abs(through(FEATURES, p) - through(FEATURES, v))
    if compat == "original":
        base = np.sum((p / np.sqrt((p**2).sum()) - v / np.sqrt((v**2).sum())) ** 2)
        expected = [0.5 * base, 3 * distilled.sum(), 2 * apart.mean()]
    else:
        rows = [np.sum((a / np.sqrt(a @ a) - b / np.sqrt(b @ b)) ** 2) for a, b in zip(p, v, strict=True)]
        expected = [0.5 * np.mean(rows), 3 * distilled.mean(), 2 * apart.sum(axis=1).mean()]
    found = [terms.base.item(), terms.face_encoder.item(), terms.face_decoder.item()]
    assert found == pytest.approx(expected, rel=1e-5)
    assert terms.total.item() == pytest.approx(sum(expected), rel=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_the_originals_distillation_grows_with_the_batch_and_ours_does_not(rows: int) -> None:
    voices, faces = embeddings(2, 1).expand(rows, -1), embeddings(3, 1).expand(rows, -1)
    alone = loss_of(voices[:1], faces[:1]).face_encoder
    torch.testing.assert_close(loss_of(voices, faces).face_encoder, alone)
    torch.testing.assert_close(loss_of(voices, faces, "original").face_encoder, rows * alone)


def test_the_originals_distillation_is_the_batch_size_times_ours() -> None:
    voices, faces = embeddings(4, 8), embeddings(5, 8)
    ours, theirs = loss_of(voices, faces), loss_of(voices, faces, "original")
    torch.testing.assert_close(theirs.face_encoder, 8 * ours.face_encoder)


def test_halves_of_a_batch_average_to_the_whole_unlike_the_originals() -> None:
    voices, faces = embeddings(6), embeddings(7)

    def mean_of_halves(compat: Compat) -> torch.Tensor:
        first, second = (loss_of(voices[part], faces[part], compat).total for part in (slice(2), slice(2, 4)))
        return (first + second) / 2

    torch.testing.assert_close(mean_of_halves(None), loss_of(voices, faces).total)
    whole = loss_of(voices, faces, "original").total
    assert abs(mean_of_halves("original").item() - whole.item()) > 0.1 * whole.item()


def test_a_long_embedding_counts_like_any_other_and_dominates_the_originals_base_term() -> None:
    voices, faces = embeddings(8, 2), embeddings(9, 2)
    voices[1], faces[1] = 100 * voices[1], 100 * faces[1]  # points the same way as before

    def share_of_the_first(compat: Compat) -> float:
        """How much of the base term goes away when the short one is right."""
        right = torch.stack([faces[0], voices[1]])
        before, after = (loss_of(one, faces, compat).base.item() for one in (voices, right))
        return (before - after) / before

    rows = [float((v / v.norm() - f / f.norm()).square().sum()) for v, f in zip(voices, faces, strict=True)]
    assert share_of_the_first(None) == pytest.approx(rows[0] / sum(rows), rel=1e-4)
    assert share_of_the_first(None) > 0.2
    assert abs(share_of_the_first("original")) < 0.02


def test_converted_weights_give_the_originals_loss_where_embeddings_are_equally_long() -> None:
    voices, faces = (nn.functional.normalize(embeddings(seed, 8), dim=1) * 3 for seed in (10, 11))
    weights = VoiceWeights(0.3, 2.0, 5.0)
    ours = loss_of(voices, faces, None, per_sample(weights, batch=8, units=UNITS))
    theirs = loss_of(voices, faces, "original", weights)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_scripts_weights_are_kept_for_the_original_and_converted_for_ours() -> None:
    assert script_weights("ve_conv", "original") == VoiceWeights(0.025, 200, 1)
    assert script_weights("ast", "original") == VoiceWeights(30, 2, 50)
    assert script_weights("ve_conv") == VoiceWeights(0.025, 800, 1 / 2048)
    assert script_weights("ast") == VoiceWeights(30, 16, 50 / 2048)
    assert set(SCRIPT_WEIGHTS) == {"ve_conv", "ast"}


@pytest.mark.parametrize("compat", [None, "original"])
def test_every_term_teaches_the_voice_and_none_the_face_or_the_frozen_networks(compat: Compat) -> None:
    voices, faces = embeddings(12).requires_grad_(), embeddings(13).requires_grad_()
    terms = loss_of(voices, faces, compat)
    for term in terms[1:]:
        (slope,) = torch.autograd.grad(term, voices, retain_graph=True)
        assert torch.isfinite(slope).all() and all(row.any() for row in slope)
    terms.total.backward()
    assert faces.grad is None
    assert all(one.grad is None for one in (*LOGITS.parameters(), *FEATURES.parameters()))


def test_a_right_answer_costs_nothing_but_the_teachers_own_doubt() -> None:
    faces = embeddings(14)
    terms = loss_of(faces.clone(), faces)
    doubt = softmax(LOGITS(faces).double().numpy() / 2)
    assert terms.base.item() == pytest.approx(0.0, abs=1e-6)
    assert terms.face_decoder.item() == 0.0
    assert terms.face_encoder.item() == pytest.approx(-(doubt * np.log(doubt)).sum(axis=1).mean(), rel=1e-5)


def test_an_embedding_of_nothing_but_zeros_gives_finite_slopes() -> None:
    voices = torch.zeros(2, LENGTH, requires_grad=True)
    loss_of(voices, embeddings(15, 2)).total.backward()
    assert voices.grad is not None and torch.isfinite(voices.grad).all()


def test_embeddings_made_in_inference_mode_can_be_used() -> None:
    voices = embeddings(16).requires_grad_()
    with torch.inference_mode():
        faces = embeddings(17)
    loss_of(voices, faces).total.backward()
    assert voices.grad is not None
