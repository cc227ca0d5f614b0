"""What frozen encoders make of a dataset, worked out once before the first step and kept in memory.

An encoder that does not learn would answer the same in every epoch. They are kept in the run folder as well: a training
that goes on there does not listen to everybody again. Augmentation becomes a few views of each entry:
the first as the encoder would take it, the others changed by the entry's own chance, so that they are the same in every
run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from core.training.parts import Augmentation
from worker.ml.augmentation import brighten, mirror_picture, stretch
from worker.ml.dataset_reader import EntryRow, PreparedDataset
from worker.ml.networks.pretrained import Encoder
from worker.ml.training import collectives
from worker.ml.training.checkpoint_files import DamagedCheckpoint, read_checkpoint, write_checkpoint
from worker.ml.training.task import World
from worker.training.sources import Pictures, changed_voice

Views = Callable[[EntryRow], list[npt.NDArray[Any]]]
_ENTRIES_AT_ONCE = 16
_VOICE_VIEWS = 3
_SHORTEST_SHARE = 0.5  # of a clip, that a view of it has
_SHORTEST_SAMPLES = 16_000


class FrozenFeatures:
    """Features of entries, `[views, D]` each."""

    def __init__(
        self,
        encoder: Encoder,
        entries: Sequence[EntryRow],
        views: Views,
        world: World,
        *,
        said: Sequence[object],
    ) -> None:
        """
        Args:
            encoder: on its device.
            views: what the encoder is given of an entry: as many for each.
            said: what the views depend on: with other words, what was kept is not taken.
        """
        kept = _Kept(encoder, entries, said, world)
        features = kept.find()
        if features is None:
            features = _listen(encoder, entries, views, world.say)
            kept.keep(features)
        self._features = features
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


def _listen(
    encoder: Encoder, entries: Sequence[EntryRow], views: Views, say: Callable[[str], None]
) -> npt.NDArray[np.float32]:
    parts = []
    doing = "listening to voices" if encoder.input == "voice" else "looking at faces"
    for start in range(0, len(entries), _ENTRIES_AT_ONCE):
        say(f"{doing}, {start:,} of {len(entries):,}")
        given = [views(entry) for entry in entries[start : start + _ENTRIES_AT_ONCE]]
        answers = encoder.encode([view for one in given for view in one])
        parts.append(answers.float().cpu().numpy().reshape(len(given), -1, answers.shape[1]))
    return np.concatenate(parts)


class _Kept:
    """Where the features of an encoder are kept between two starts; nowhere for weights without a checksum."""

    def __init__(
        self, encoder: Encoder, entries: Sequence[EntryRow], said: Sequence[object], world: World
    ) -> None:
        numbers = hashlib.sha256(np.asarray([entry.number for entry in entries], np.int64).tobytes())
        of = (encoder.kind, repr(encoder.config), encoder.identity.weights_sha256, numbers.hexdigest())
        name = hashlib.sha256(repr((*of, world.device.type, *said)).encode()).hexdigest()
        self._path: Path | None = None
        if world.kept is not None and encoder.identity.weights_sha256:
            self._path = world.kept / f"{encoder.input}-{name}.safetensors"
        self._is_first = world.rank == 0

    def find(self) -> npt.NDArray[np.float32] | None:
        """What was kept where the first process runs; every host gets it. None where each is to listen for itself."""
        if self._path is None:
            return None
        features = self._read(self._path) if self._is_first else None
        # Nothing is kept on other hosts. While they listened to everybody again, the first would wait in vain.
        if not collectives.from_first(features is not None):
            return None
        collectives.copy_from_first(self._path)
        return self._read(self._path) if features is None else features

    @staticmethod
    def _read(path: Path) -> npt.NDArray[np.float32] | None:
        try:
            found: npt.NDArray[np.float32] = read_checkpoint(path)[0]["features"].numpy()
        except (FileNotFoundError, DamagedCheckpoint):
            return None
        return found

    def keep(self, features: npt.NDArray[np.float32]) -> None:
        # They save time and nothing else: a disk that has no room for them may have some for checkpoints.
        if self._path is not None and self._is_first:
            with suppress(OSError):
                write_checkpoint(self._path, {"features": torch.from_numpy(features)}, {})


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
