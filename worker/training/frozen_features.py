"""What frozen encoders make of a dataset, worked out once before the first step and kept in memory.

An encoder that does not learn would answer the same in every epoch. Augmentation becomes a few views of each entry:
the first as the encoder would take it, the others changed by the entry's own chance, so that they are the same in every
run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.training_specs import Augmentation
from worker.ml.augmentation import brighten, mirror_picture, stretch
from worker.ml.dataset_reader import EntryRow, PreparedDataset
from worker.ml.networks.pretrained import Encoder
from worker.training.sources import Pictures, changed_voice

Views = Callable[[EntryRow], list[npt.NDArray[Any]]]
_ENTRIES_AT_ONCE = 16
_VOICE_VIEWS = 3
_SHORTEST_SHARE = 0.5  # of a clip, that a view of it has
_SHORTEST_SAMPLES = 16_000


class FrozenFeatures:
    """Features of entries, `[views, D]` each."""

    def __init__(
        self, encoder: Encoder, entries: Sequence[EntryRow], views: Views, say: Callable[[str], None]
    ) -> None:
        """
        Args:
            encoder: on its device.
            views: what the encoder is given of an entry: as many for each.
            say: see `World.say`.
        """
        parts = []
        doing = "listening to voices" if encoder.input == "voice" else "looking at faces"
        for start in range(0, len(entries), _ENTRIES_AT_ONCE):
            say(f"{doing}, {start:,} of {len(entries):,}")
            given = [views(entry) for entry in entries[start : start + _ENTRIES_AT_ONCE]]
            answers = encoder.encode([view for one in given for view in one])
            parts.append(answers.float().cpu().numpy().reshape(len(given), -1, answers.shape[1]))
        self._features = np.concatenate(parts)
        self._rows = {entry.number: row for row, entry in enumerate(entries)}

    def read(self, entry: EntryRow, random: np.random.Generator | None) -> npt.NDArray[np.float32]:
        """One view `[D]`, drawn; without a generator the first."""
        views: npt.NDArray[np.float32] = self._features[self._rows[entry.number]]
        chosen: npt.NDArray[np.float32] = views[0 if random is None else int(random.integers(len(views)))]
        return chosen

    def all_views(self, entries: Sequence[EntryRow]) -> torch.Tensor:
        """`[N · views, D]`, for statistics."""
        rows = [self._rows[entry.number] for entry in entries]
        return torch.from_numpy(self._features[rows].reshape(-1, self._features.shape[2]))


def voice_views(dataset: PreparedDataset, augmentation: Augmentation, seed: int) -> Views:
    """The clip, and stretches of it with another level or noise."""

    def views(entry: EntryRow) -> list[npt.NDArray[Any]]:
        waveform = dataset.array(entry, "waveform")
        answer = [waveform]
        random = np.random.default_rng((seed, entry.number))
        changes = augmentation.crop or augmentation.gain_db or augmentation.noise_db is not None
        for _ in range(_VOICE_VIEWS - 1 if changes else 0):
            part = waveform
            shortest = max(round(len(waveform) * _SHORTEST_SHARE), _SHORTEST_SAMPLES)
            if augmentation.crop and shortest < len(waveform):
                part = stretch(waveform, int(random.integers(shortest, len(waveform) + 1)), random)
            answer.append(changed_voice(part, augmentation, random))
        return answer

    return views


def face_views(pictures: Pictures, augmentation: Augmentation, seed: int) -> Views:
    """The picture, its mirror image, and both brighter or darker."""

    def views(entry: EntryRow) -> list[npt.NDArray[Any]]:
        picture = pictures.read(entry)
        answer = [picture, mirror_picture(picture)] if augmentation.flip else [picture]
        if augmentation.brightness:
            random = np.random.default_rng((seed, entry.number))
            answer += [brighten(one, augmentation.brightness, random) for one in list(answer)]
        return answer

    return views
