"""Samples out of a prepared dataset: which entries go together, what is read of them, and how it is changed.

Entries are read when a sample is asked for, in the loader's threads. Decoding pictures is what costs, so decoded ones
are kept as long as there is room (`Pictures`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from core.training.parts import Augmentation
from worker.ml.augmentation import (
    add_noise,
    brighten,
    change_level,
    mirror_landmarks,
    mirror_picture,
    stretch,
)
from worker.ml.dataset_reader import EntryRow, PersonRow, PreparedDataset
from worker.ml.pairings import Pairing
from worker.ml.training.task import Arrays, Picture, Source
from worker.training.checks import lacking

Array = npt.NDArray[np.float32]
ReadChanged = Callable[[EntryRow, np.random.Generator | None], npt.NDArray[Any]]
ReadVoice = Callable[[EntryRow, np.random.Generator, bool], Array]
_KEPT_BYTES = 1 << 30  # of decoded pictures
_RATE = 16_000


class Pictures:
    """Pictures of a dataset. Those read first are kept, up to so many bytes; a shuffled epoch reads each just once,
    so that throwing out old ones for new ones would save nothing."""

    def __init__(self, dataset: PreparedDataset, kept_bytes: int = _KEPT_BYTES) -> None:
        self._dataset, self._room = dataset, kept_bytes
        self._kept: dict[int, Picture] = {}
        self._changing = threading.Lock()

    def read(self, entry: EntryRow) -> Picture:
        """uint8 RGB `[size, size, 3]`; not to be written to."""
        picture = self._kept.get(entry.number)
        if picture is None:
            picture = self._dataset.picture(entry)
            picture.flags.writeable = False
            with self._changing:
                if entry.number not in self._kept and picture.nbytes <= self._room:
                    self._kept[entry.number] = picture
                    self._room -= picture.nbytes
        return picture


class FaceSource(Source):
    """Pictures with landmarks and embeddings.

    Samples: `picture` uint8 `[S, S, 3]`, `landmarks` `[144]` in its pixels, `embedding` `[D]` of the picture as it is
    kept, and `changed`: whether the picture is not as it is kept, so that the embedding is another one's.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        entries: Sequence[EntryRow],
        pictures: Pictures,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._dataset, self._entries, self._pictures = dataset, entries, pictures
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        entry = self._entries[number]
        picture = self._pictures.read(entry)
        landmarks = self._dataset.array(entry, "landmarks").astype(np.float32, copy=False)
        changed = False
        if self._augmentation is not None:
            if self._augmentation.flip and random.random() < 0.5:
                picture = mirror_picture(picture)
                landmarks = mirror_landmarks(landmarks, picture.shape[1])
                changed = True
            if self._augmentation.brightness:
                picture = brighten(picture, self._augmentation.brightness, random)
                changed = True
        return {
            "picture": picture,
            "landmarks": landmarks,
            "embedding": self._dataset.array(entry, "embedding").astype(np.float32, copy=False),
            "changed": np.asarray(changed),
        }


class VoiceSource(Source):
    """Features of voices with embeddings of faces: `features`, `embedding` `[D]`; and `picture` where there is one.

    Args:
        people: what the pairing counts in.
        read_voice: features of an entry; told whether they may be changed.
        pictures: for panels; only in the validation, since training does not look.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        people: Sequence[PersonRow],
        pairing: Pairing,
        read_voice: ReadVoice,
        *,
        train: bool,
        pictures: Pictures | None = None,
    ) -> None:
        self._dataset, self._pairing, self._read_voice = dataset, pairing, read_voice
        self._train, self._pictures = train, pictures
        self._voices = [dataset.of(person.id, "voice") for person in people]
        self._faces = [dataset.of(person.id, "face") for person in people]

    def __len__(self) -> int:
        return len(self._pairing)

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        pair = self._pairing[number]
        faces = self._faces[pair.identity]
        chosen = faces if pair.face is None else [faces[pair.face]]
        embeddings = [self._dataset.array(face, "embedding") for face in chosen]
        sample: dict[str, npt.NDArray[Any]] = {
            "features": self._read_voice(self._voices[pair.identity][pair.voice], random, self._train),
            "embedding": np.asarray(np.mean(embeddings, axis=0, dtype=np.float64), np.float32),
        }
        if self._pictures is not None:
            sample["picture"] = self._pictures.read(chosen[0])
        return sample


class MatchingSource(Source):
    """A voice and a face of one person, from different clips where there are several.

    In training, a sample is a person, so that nobody is in a batch twice; which of their entries, is drawn. In the
    validation it is a voice, each with a face of its turn.

    Samples: `voice` and `face` as they are read, `identity` and `group`, numbers.

    Args:
        read_voice, read_face: of an entry; without a generator, nothing is changed.
        groups: by person; somebody who is not in it is in group 0.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        people: Sequence[PersonRow],
        read_voice: ReadChanged,
        read_face: ReadChanged,
        groups: Mapping[str, int],
        *,
        train: bool,
    ) -> None:
        self._read_voice, self._read_face, self._groups, self._train = read_voice, read_face, groups, train
        self._turns = turns_of(dataset, people, every_voice=not train)
        self._numbers = {person: number for number, person in enumerate(dataset.people)}

    def __len__(self) -> int:
        return len(self._turns)

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        chance = random if self._train else None
        voice, face = choose_entries(*self._turns[number], chance)
        return {
            "voice": self._read_voice(voice, chance),
            "face": self._read_face(face, chance),
            "identity": np.asarray(self._numbers[voice.person]),
            "group": np.asarray(self._groups.get(voice.person, 0)),
        }


Turn = tuple[list[EntryRow], list[EntryRow]]


def turns_of(dataset: PreparedDataset, people: Sequence[PersonRow], *, every_voice: bool) -> list[Turn]:
    """What the samples of a matching are chosen from: voices and faces of each person, or of each of their voices."""
    turns: list[Turn] = []
    for person in people:
        voices, faces = dataset.of(person.id, "voice"), dataset.of(person.id, "face")
        if voices and faces and not every_voice:
            turns.append((voices, faces))
        elif faces:
            turns += [
                ([voice], faces[at % len(faces) :] + faces[: at % len(faces)])
                for at, voice in enumerate(voices)
            ]
    return turns


def choose_entries(
    voices: Sequence[EntryRow], faces: Sequence[EntryRow], random: np.random.Generator | None
) -> tuple[EntryRow, EntryRow]:
    """A voice and a face of another clip, or of the same where there is no other; the first ones without a generator.

    Clips are told by their file's name without its ending: what was said at a moment must not be read from the lips.
    """
    voice = voices[0] if random is None else voices[int(random.integers(len(voices)))]
    others = [face for face in faces if _clip(face.key) != _clip(voice.key)] or list(faces)
    return voice, others[0] if random is None else others[int(random.integers(len(others)))]


def voice_reader(dataset: PreparedDataset, samples: int, augmentation: Augmentation) -> ReadChanged:
    """Reads so many samples of a clip, with the level and the noise that the augmentation says."""

    def read(entry: EntryRow, random: np.random.Generator | None) -> Array:
        waveform: Array = dataset.array(entry, "waveform")
        if random is None:
            return stretch(waveform, samples, None)
        return changed_voice(
            stretch(waveform, samples, random if augmentation.crop else None), augmentation, random
        )

    return read


def face_reader(pictures: Pictures, augmentation: Augmentation) -> ReadChanged:
    """Reads pictures, mirrored half of the time, brighter or darker."""

    def read(entry: EntryRow, random: np.random.Generator | None) -> Picture:
        picture = pictures.read(entry)
        if random is not None and augmentation.flip and random.random() < 0.5:
            picture = mirror_picture(picture)
        if random is not None and augmentation.brightness:
            picture = brighten(picture, augmentation.brightness, random)
        return picture

    return read


def changed_voice(waveform: Array, augmentation: Augmentation, random: np.random.Generator) -> Array:
    """With another level, and noise."""
    if augmentation.gain_db:
        waveform = change_level(waveform, augmentation.gain_db, random)
    if augmentation.noise_db is not None:
        waveform = add_noise(waveform, augmentation.noise_db, random)
    return waveform


def people_with_both(dataset: PreparedDataset, split: str) -> list[PersonRow]:
    """Everybody of a part who has a voice and a face.

    Raises:
        DatasetError: fewer than two in the train part.
    """
    people = [
        person
        for person in dataset.people.values()
        if person.split == split and dataset.of(person.id, "voice") and dataset.of(person.id, "face")
    ]
    if split == "train" and len(people) < 2:
        raise lacking(
            f"The dataset's train part has {len(people)} people with both a voice and a face, and two at least are "
            "needed. Prepare more people."
        )
    return people


def samples_of(seconds: float) -> int:
    """Of a waveform."""
    return round(seconds * _RATE)


def _clip(key: str) -> str:
    return PurePosixPath(key).stem
