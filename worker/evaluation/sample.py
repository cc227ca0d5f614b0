"""Who is measured: the people of one part of a dataset, with a few clips and pictures of each.

Always the same for the same dataset, since two models are only compared on the same clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worker.evaluation.request import InvalidRequest
from worker.ml.dataset_reader import EntryRow, PersonRow, PreparedDataset, Split
from worker.ml.metrics.attributes import gender_word
from worker.ml.metrics.intervals import Integers
from worker.ml.metrics.matching import UNKNOWN_GROUP

FEWEST_PEOPLE = 2


@dataclass(frozen=True)
class Sample:
    """People with clips.

    Attributes:
        people: in the order of the dataset.
        voices, faces: their first ones, person by person.
        voice_people, face_people: `[voices]` and `[faces]`, places in `people`.
        at_most: clips of a person on a side, at most.
    """

    people: tuple[PersonRow, ...]
    voices: tuple[EntryRow, ...]
    faces: tuple[EntryRow, ...]
    voice_people: Integers
    face_people: Integers
    at_most: int

    @property
    def genders(self) -> list[str | None]:
        """What the dataset says of each person: `male`, `female`, or nothing."""
        return [gender_word(person.attributes.get("gender")) for person in self.people]

    @property
    def groups(self) -> Integers:
        """The same as numbers, `[people]`."""
        numbers = {"male": 0, "female": 1}
        return np.array(
            [UNKNOWN_GROUP if word is None else numbers[word] for word in self.genders], dtype=np.int64
        )


def choose_sample(
    dataset: PreparedDataset,
    split: Split,
    *,
    most_people: int | None = None,
    most_clips: int = 3,
    most_entries: int = 3000,
    needs_voice: bool = True,
) -> Sample:
    """The first people of a part that have a face, and a voice where one is needed.

    Args:
        most_clips: of a person on each side; fewer where people are many, so that about `most_entries` remain.

    Raises:
        InvalidRequest: fewer than two such people.
    """
    people = [
        person for person in dataset.split(split) if person.faces and (person.voices or not needs_voice)
    ][:most_people]
    if len(people) < FEWEST_PEOPLE:
        what = "a voice and a face" if needs_voice else "a face"
        raise InvalidRequest(
            "invalid_recipe",
            f"The {split} part of the dataset has {len(people)} people with {what}; two at least are needed.",
        )
    clips = max(1, min(most_clips, most_entries // len(people)))
    voices = [dataset.of(person.id, "voice")[:clips] for person in people]
    faces = [dataset.of(person.id, "face")[:clips] for person in people]
    return Sample(tuple(people), _flat(voices), _flat(faces), _owners(voices), _owners(faces), clips)


def _flat(parts: Sequence[Sequence[EntryRow]]) -> tuple[EntryRow, ...]:
    return tuple(entry for part in parts for entry in part)


def _owners(parts: Sequence[Sequence[EntryRow]]) -> Integers:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
