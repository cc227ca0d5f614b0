"""Train the face generator: reconstruct real faces, and draw believable ones for unheard voices.

Half of every batch are latents of real faces, whose picture is known: they are compared pixel by pixel, band by band
and through the critic's features. The other half are latents that voices produced out of fold, which have no picture:
the critic asks them to look like faces, and the middle of the face must stay what the morphable face made it, so
that the retoucher cannot draw the same pretty stranger for everybody. Without that second half the generator is only
ever sharp where real faces lie, and voices point elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from worker.ml.default_model.critic import Critic, feature_distance, real_and_drawn_loss
from worker.ml.default_model.face_alignment import focus
from worker.ml.face_generator import ENLARGE, FaceGenerator

# Called after every step with the step, the averaged generator and the losses to show.
Watcher = Callable[[int, FaceGenerator, dict[str, float]], None]


@dataclass(frozen=True)
class GeneratorSettings:
    """Attributes: steps in all; steps before the critic joins; faces and voice latents per step; learning rates."""

    steps: int = 900
    quiet_steps: int = 60
    batch: int = 16
    rate: float = 1e-3
    critic_rate: float = 6e-4
    latent_noise: float = 0.1
    average: float = 0.99
    critic_weight: float = 0.15
    feature_weight: float = 1.0
    faithful_weight: float = 3.0


@dataclass(frozen=True)
class GeneratorData:
    """What the generator learns from.

    Attributes:
        faces: uint8 `[N, 224, 224, 3]`.
        latents: of the faces `[N, K]`.
        mirrored: latents of their mirror images `[N, K]`.
        weights: how often each face is shown `[N]`.
        voices: latents that voices produced `[M, K]`.
    """

    faces: npt.NDArray[np.uint8]
    latents: npt.NDArray[np.float32]
    mirrored: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float64]
    voices: npt.NDArray[np.float32]


def train_generator(
    generator: FaceGenerator, data: GeneratorData, seed: int, settings: GeneratorSettings, watch: Watcher
) -> FaceGenerator:
    """Train, and return the running average of the weights, which draws calmer pictures than the last step's."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = deepcopy(generator).requires_grad_(False)
    critic = Critic()
    painter = torch.optim.Adam(generator.retoucher.parameters(), settings.rate, betas=(0.5, 0.99))
    judge = torch.optim.Adam(critic.parameters(), settings.critic_rate, betas=(0.5, 0.99))
    for step in range(settings.steps):
        for group in painter.param_groups:
            group["lr"] = settings.rate * _cooling(step, settings)
        real, latents = _draw_batch(data, chance, settings)
        losses: dict[str, float] = {}
        if step < settings.quiet_steps:
            drawn = generator(latents[: settings.batch])
            loss = 10 * pixel_distance(drawn, real)
            losses["pixels"] = float(loss.detach()) / 10
        else:
            drawn = generator(latents)
            losses["critic"] = _teach_critic(critic, judge, real, drawn.detach())
            patch, whole, features = critic(drawn)
            with torch.no_grad():
                real_features = critic(real)[2]
            pixels = pixel_distance(drawn[: settings.batch], real)
            matched = feature_distance([level[: settings.batch] for level in features], real_features)
            fooled = -patch.mean() - whole.mean()
            changed = middle_change(generator, drawn[settings.batch :], latents[settings.batch :])
            loss = 10 * pixels + settings.feature_weight * matched + settings.critic_weight * fooled
            loss = loss + settings.faithful_weight * changed
            losses |= {"pixels": float(pixels.detach()), "features": float(matched.detach())}
            losses |= {"fooled": float(fooled.detach()), "changed": float(changed.detach())}
        painter.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        painter.step()
        keep = min(settings.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, now in zip(averaged.parameters(), generator.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        watch(step + 1, averaged, losses)
    return averaged


def pixel_distance(drawn: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the pictures and of their detail at three sizes. Both `[B, 3, S, S]`."""
    total = (drawn - real).abs().mean()
    for _ in range(3):
        smaller_drawn, smaller_real = F.avg_pool2d(drawn, 2), F.avg_pool2d(real, 2)
        detail_drawn = drawn - F.interpolate(smaller_drawn, scale_factor=2.0, mode="nearest")
        detail_real = real - F.interpolate(smaller_real, scale_factor=2.0, mode="nearest")
        total = total + (detail_drawn - detail_real).abs().mean()
        drawn, real = smaller_drawn, smaller_real
    return total


def middle_change(generator: FaceGenerator, drawn: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """How far retouching moved the coarse colours of the face itself. `[B, 3, S, S]`, `[B, K]` -> a scalar."""
    with torch.no_grad():
        before = F.avg_pool2d(generator.morphable(latents, ENLARGE), 4)
    after = F.avg_pool2d(drawn, 4)
    return ((after - before).abs() * focus(after.shape[-1])).mean()


def _cooling(step: int, settings: GeneratorSettings) -> float:
    """Full rate until the critic joins, then half, falling along a cosine to a twentieth."""
    if step < settings.quiet_steps:
        return 1.0
    done = (step - settings.quiet_steps) / max(1, settings.steps - settings.quiet_steps)
    return 0.05 + 0.45 * (1 + float(np.cos(np.pi * done))) / 2


def _draw_batch(
    data: GeneratorData, chance: np.random.Generator, settings: GeneratorSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Real faces `[B, 3, S, S]`, and latents `[2B, K]`: theirs, then those of voices."""
    chosen = chance.choice(len(data.faces), settings.batch, p=data.weights / data.weights.sum())
    flipped = chance.random(settings.batch) < 0.5
    faces = np.stack(
        [data.faces[i][:, ::-1] if flip else data.faces[i] for i, flip in zip(chosen, flipped, strict=True)]
    )
    latents = np.where(flipped[:, None], data.mirrored[chosen], data.latents[chosen])
    latents = latents + settings.latent_noise * chance.standard_normal(latents.shape)
    # Between two voices lies a third: mixing keeps the critic from learning the few hundred by heart.
    pairs = chance.integers(len(data.voices), size=(2, settings.batch))
    share = chance.random((settings.batch, 1)) * 0.3
    voices = (1 - share) * data.voices[pairs[0]] + share * data.voices[pairs[1]]
    real = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    return real, torch.from_numpy(np.concatenate([latents, voices]).astype(np.float32))


def _teach_critic(
    critic: Critic, judge: torch.optim.Optimizer, real: torch.Tensor, drawn: torch.Tensor
) -> float:
    patch_real, whole_real, _ = critic(real)
    patch_drawn, whole_drawn, _ = critic(drawn)
    loss = real_and_drawn_loss(patch_real, patch_drawn) + real_and_drawn_loss(whole_real, whole_drawn)
    judge.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    judge.step()
    return float(loss.detach())
