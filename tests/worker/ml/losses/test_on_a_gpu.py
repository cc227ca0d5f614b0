"""No loss chooses a device: where its tensors are, there it is computed, with the same result."""

from __future__ import annotations

import pytest
import torch

from worker.ml.losses.adversarial import discriminator_loss, generator_loss, other_identities, r1_penalty
from worker.ml.losses.face_decoder import decoder_loss
from worker.ml.losses.matching import choose_negatives, matching_loss
from worker.ml.losses.voice_encoder import VoiceWeights, voice_encoder_loss


def all_losses(device: str) -> torch.Tensor:
    """Every loss of fixed tensors, `[8]`, on the CPU."""
    draw = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=draw).to(device)

    people = torch.arange(6, device=device) // 2
    negatives = choose_negatives(
        people, count=2, mix="balanced", groups=people % 2, generator=torch.Generator().manual_seed(1)
    )
    others = other_identities(people, torch.Generator().manual_seed(2))
    matching = matching_loss(some(6, 5), some(6, 5), scale=some(), negatives=negatives)
    faces = some(6, 3, 4, 4).requires_grad_()
    weights = some(48)
    real, drawn = faces.flatten(1) @ weights, some(6)
    projection = some(48, 5)
    losses = [matching.total]
    losses += [discriminator_loss(real, drawn, real[others]).total]
    losses += [generator_loss(real, drawn, drawn[others], form="relativistic_average").total]
    losses += [r1_penalty((faces.flatten(1) @ weights).square(), faces)]
    true, voices, predicted = some(6, 5), some(6, 5), some(6, 3, 4, 4)
    for compat in (None, "original"):
        losses += [
            decoder_loss(
                some(6, 8),
                predicted,
                some(6, 8),
                faces.detach(),
                true,
                embed=lambda drawn: drawn.flatten(1) @ projection,
                compat=compat,
            ).total
        ]
        losses += [
            voice_encoder_loss(
                voices,
                true,
                face_logits=torch.tanh,
                decoder_features=torch.square,
                weights=VoiceWeights(1, 1, 1),
                compat=compat,
            ).total
        ]
    assert all(loss.device.type == device for loss in losses)
    return torch.stack(losses).detach().cpu()


def test_losses_are_finite_and_stay_on_the_cpu() -> None:
    assert torch.isfinite(all_losses("cpu")).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_losses_are_the_same_on_a_gpu() -> None:
    torch.testing.assert_close(all_losses("cuda"), all_losses("cpu"), rtol=1e-3, atol=1e-4)
