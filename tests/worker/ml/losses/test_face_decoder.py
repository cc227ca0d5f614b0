"""The decoder's loss teaches identity, and its landmarks do not drown its texture; the original's does neither."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from worker.ml.losses.face_decoder import DecoderTerms, DecoderWeights, decoder_loss

Compat = Literal["original"] | None
SIZE, POINTS, LENGTH = 8, 4, 6


class FaceEncoder(nn.Module):
    """Stands for a frozen face encoder."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, LENGTH), nn.ReLU())
        self.requires_grad_(False).eval()

    def forward(self, textures: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.layers(textures)
        return answer


def batch(seed: int = 0, rows: int = 3) -> dict[str, torch.Tensor]:
    """Predictions, with gradients, and what is true."""
    draw = torch.Generator().manual_seed(seed)
    return {
        "landmarks": (torch.rand(rows, 2 * POINTS, generator=draw) * SIZE).requires_grad_(),
        "textures": torch.rand(rows, 3, SIZE, SIZE, generator=draw).requires_grad_(),
        "true_landmarks": torch.rand(rows, 2 * POINTS, generator=draw) * SIZE,
        "true_textures": torch.rand(rows, 3, SIZE, SIZE, generator=draw),
        "true_embeddings": torch.rand(rows, LENGTH, generator=draw),
    }


def loss_of(some: dict[str, torch.Tensor], compat: Compat = None) -> DecoderTerms:
    return decoder_loss(**some, embed=FaceEncoder(), compat=compat)


@pytest.mark.parametrize("compat", [None, "original"])
def test_terms_are_those_of_the_formula(compat: Compat) -> None:
    some = batch()
    terms = loss_of(some, compat)
    value = {name: one.detach().double().numpy() for name, one in some.items()}

    def unit(pixels: np.ndarray) -> np.ndarray:
        return pixels if compat == "original" else 2 * pixels / (SIZE - 1) - 1

    landmarks = np.mean((unit(value["landmarks"]) - unit(value["true_landmarks"])) ** 2)
    texture = np.mean(np.abs(value["textures"] - value["true_textures"]))
    linear = FaceEncoder().layers[1]
    assert isinstance(linear, nn.Linear)
    weight, bias = (one.double().numpy() for one in (linear.weight, linear.bias))
    drawn = np.maximum(value["textures"].reshape(3, -1) @ weight.T + bias, 0)
    true = value["true_embeddings"]
    cosine = (drawn * true).sum(axis=1) / np.linalg.norm(drawn, axis=1) / np.linalg.norm(true, axis=1)
    assert terms.landmarks.item() == pytest.approx(landmarks, rel=1e-5)
    assert terms.texture.item() == pytest.approx(100 * texture, rel=1e-5)
    assert terms.identity.item() == pytest.approx(100 * np.mean(1 - cosine), rel=1e-4)
    assert terms.total.item() == pytest.approx(
        landmarks + 100 * texture + 100 * np.mean(1 - cosine), rel=1e-4
    )


def test_the_identity_term_teaches_the_texture_and_the_originals_does_not() -> None:
    some = batch()
    identity = loss_of(some).identity
    (slope,) = torch.autograd.grad(identity, some["textures"])
    assert all(row.any() for row in slope)
    assert torch.isfinite(slope).all()
    original = loss_of(some, "original").identity
    torch.testing.assert_close(
        original, identity.detach()
    )  # the same value, from which nothing can be learned
    assert not original.requires_grad


def test_following_the_slope_of_the_identity_term_brings_the_face_closer_to_its_person() -> None:
    some = batch()
    before = loss_of(some).identity
    (slope,) = torch.autograd.grad(before, some["textures"])
    nearer = {**some, "textures": some["textures"].detach() - 1e-3 * slope}
    assert loss_of(nearer).identity.item() < before.item()


def test_the_frozen_face_encoder_learns_nothing() -> None:
    encoder, some = FaceEncoder(), batch()
    decoder_loss(**some, embed=encoder).total.backward()
    assert all(one.grad is None for one in encoder.parameters())
    assert some["textures"].grad is not None and some["landmarks"].grad is not None


def test_in_the_originals_units_the_landmarks_slope_drowns_the_textures() -> None:
    """At the original's size, where all landmarks are ten pixels off and the texture a tenth."""

    def balance(compat: Compat) -> float:
        landmarks = torch.full((2, 144), 110.0, requires_grad=True)
        textures = torch.full((2, 3, 224, 224), 0.6, requires_grad=True)
        terms = decoder_loss(
            landmarks,
            textures,
            torch.full((2, 144), 100.0),
            torch.full((2, 3, 224, 224), 0.5),
            torch.ones(2, 4),
            embed=None,
            compat=compat,
        )
        assert terms.identity.item() == 0.0
        return float(terms.landmarks.item() / terms.texture.item())

    assert balance("original") == pytest.approx(10.0, rel=1e-4)  # 100 pixels² to 100 · 0.1
    assert balance(None) == pytest.approx(10.0 * (2 / 223) ** 2, rel=1e-4)


def test_weights_can_be_chosen() -> None:
    terms = decoder_loss(**batch(), embed=FaceEncoder(), weights=DecoderWeights(0.0, 1.0, 2.0))
    plain = loss_of(batch())
    assert terms.landmarks.item() == 0.0
    torch.testing.assert_close(terms.texture, plain.texture / 100)
    torch.testing.assert_close(terms.identity, plain.identity / 50)


def test_halves_of_a_batch_average_to_the_whole() -> None:
    some = batch(rows=4)
    halves = [
        loss_of({name: one[part] for name, one in some.items()}).total for part in (slice(2), slice(2, 4))
    ]
    torch.testing.assert_close((halves[0] + halves[1]) / 2, loss_of(some).total)


def test_embeddings_made_in_inference_mode_can_be_used() -> None:
    some = batch()
    with torch.inference_mode():
        some["true_embeddings"] = some["true_embeddings"] * 2
    loss_of(some).total.backward()
    assert some["textures"].grad is not None


def test_nothing_is_learned_where_no_gradients_are_wanted() -> None:
    with torch.no_grad():
        assert not loss_of(batch()).total.requires_grad
