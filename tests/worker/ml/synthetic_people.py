"""People that never were: a voice made of tones and a drawn face, both decided by the same few numbers.

Four traits, each from -1 to 1, decide pitch and formants of the voice, and colours and proportions of the face. What is
not in the traits changes from clip to clip: loudness, vowels, phases and noise on one side, background and place on
the other. So a network can learn which face goes with a voice it has never heard, and nothing else can be learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRAITS = 4
RATE = 16_000
_HIGHEST_HZ = 4_000.0
_VOWEL_SECONDS = 0.08

Traits = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clips:
    """One clip of every person.

    Attributes:
        voices: float32 `[N, T]`, 16 kHz.
        faces: float32 `[N, 3, size, size]`, -1 to 1.
    """

    voices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.float32]


def people(count: int, seed: int) -> Traits:
    """Traits of made-up people, `[count, TRAITS]`."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, TRAITS))


def clips(traits: Traits, seed: int, *, seconds: float = 0.5, size: int = 32) -> Clips:
    """A clip of each person, with its own accidents by the seed."""
    draw = np.random.default_rng(seed)
    return Clips(
        np.stack([voice(one, draw, seconds) for one in traits]),
        np.stack([face(one, draw, size) for one in traits]),
    )


def voice(traits: Traits, draw: np.random.Generator, seconds: float) -> npt.NDArray[np.float32]:
    """A tone complex with three formants, float32 `[T]`."""
    pitch = 130 * 2 ** (0.8 * traits[0])
    samples = np.arange(round(seconds * RATE)) / RATE
    # Formants move as a mouth does, around places of the person's own; in frames of 10 ms.
    frames = np.arange(round(seconds * 100) + 1) / 100
    vowels = draw.uniform(-0.15, 0.15, (int(seconds / _VOWEL_SECONDS) + 2, 3))
    at = frames / _VOWEL_SECONDS
    moves = np.stack([np.interp(at, np.arange(len(vowels)), one) for one in vowels.T], axis=1)
    formants = np.array([600, 1500, 2700]) * 2 ** (0.4 * traits[1:4] + moves)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * frames + draw.uniform(0, 6))
    harmonics = np.arange(1, int(_HIGHEST_HZ / pitch) + 1)
    bumps = np.exp(-(((harmonics * pitch)[:, None, None] - formants) ** 2) / (2 * 150.0**2)).sum(axis=2)
    heights = (0.02 + bumps) * syllables
    vibrato = 0.01 * np.sin(2 * np.pi * 5 * samples + draw.uniform(0, 6))
    # All harmonics are powers of the first: one turn a sample, multiplied on, in place of a sine for each.
    first = np.exp(2j * np.pi * np.cumsum(pitch * (1 + vibrato)) / RATE)
    sound, power = np.zeros(len(samples)), np.ones(len(samples), dtype=complex)
    for height, phase in zip(heights, draw.uniform(0, 2 * np.pi, len(harmonics)), strict=True):
        power = power * first
        sound += np.interp(samples, frames, height) * (power * np.exp(1j * phase)).real
    sound = sound / np.abs(sound).max() + draw.normal(0, 0.02, len(samples))
    return (draw.uniform(0.05, 0.9) * sound).astype(np.float32)


def face(traits: Traits, draw: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    """A head with eyes and a mouth, float32 `[3, size, size]`, RGB, -1 to 1."""
    down, across = np.mgrid[0:size, 0:size] / size - 0.5 + draw.uniform(-0.06, 0.06, (2, 1, 1))
    width, mouth = 0.3 + 0.1 * traits[1], 0.15 + 0.06 * traits[3]
    picture = np.broadcast_to(draw.uniform(-1, 1, (3, 1, 1)), (3, size, size)).copy()

    def paint(inside: npt.NDArray[np.float64], colour: tuple[float, float, float]) -> None:
        # A soft edge, or a small shift would change nothing and a larger one everything.
        cover = (1 + np.tanh(6 * inside)) / 2
        picture[:] = picture * (1 - cover) + np.array(colour)[:, None, None] * cover

    paint(1 - (across / width) ** 2 - (down / 0.42) ** 2, (0.7, 0.6 * traits[0], -0.2 + 0.6 * traits[2]))
    for side in (-1, 1):
        paint(1 - ((across - side * 0.13) ** 2 + (down + 0.1) ** 2) / 0.05**2, (-0.8, -0.8, -0.8))
    paint(1 - (across / mouth) ** 2 - ((down - 0.2) / 0.05) ** 2, (0.8, -0.7, -0.7))
    return np.clip(picture, -1, 1).astype(np.float32)
