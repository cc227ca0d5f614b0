"""Which recording of a person is shown to a network with which face of that person.

A pairing is a rule, not a list: a million people with a hundred recordings and ten faces each make a thousand million
pairs, of which any one is worked out in the time of a binary search over the people. Names are sorted first, so the
order in which a file system lists them decides nothing.

The three rules are those of Kacper-Pietkun/Speech-to-face (MIT). `compat="original"` gives its pairs exactly: names in
the order they were listed, the first face, and no seed.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from worker.ml.permutations import mixed, shuffled

Compat = Literal["original"] | None
FaceChoice = Literal["first", "mean", "random"]
Rule = Literal["all_to_all", "one_to_one", "all_to_one"]
Counts = npt.NDArray[np.int64]


class Pair(NamedTuple):
    """Places in lists, all counted from 0.

    Attributes:
        identity: of the person in the people that were given.
        voice: of the recording among the person's.
        face: of the face among the person's; None is the mean of all their embeddings.
    """

    identity: int
    voice: int
    face: int | None


@dataclass(frozen=True)
class People:
    """Who there is, with what.

    Attributes:
        names: of the people.
        voices, faces: the names of each one's files, in the order that pairs count in.
    """

    names: tuple[str, ...]
    voices: tuple[tuple[str, ...], ...]
    faces: tuple[tuple[str, ...], ...]

    @classmethod
    def listed(
        cls,
        voices: Mapping[str, Sequence[str]],
        faces: Mapping[str, Sequence[str]],
        compat: Compat = None,
    ) -> People:
        """From the names of each person's files; a person may be missing from either side.

        Args:
            compat: `original` keeps the order of the listing; otherwise people and files are sorted.

        Raises:
            ValueError: a file that is listed twice.
        """
        everybody = list(dict.fromkeys([*voices, *faces]))
        arranged = list if compat == "original" else sorted
        names = arranged(everybody)
        sides = [tuple(tuple(arranged(side.get(name, ()))) for name in names) for side in (voices, faces)]
        for side in sides:
            for name, files in zip(names, side, strict=True):
                if len(set(files)) != len(files):
                    raise ValueError(f"A file of {name!r} is listed twice.")
        return cls(tuple(names), *sides)

    def counts(self) -> tuple[Counts, Counts]:
        """How many voices and how many faces each person has, `[people]` each: what pairings are made of."""
        voices, faces = (
            np.fromiter(map(len, side), np.int64, len(side)) for side in (self.voices, self.faces)
        )
        return voices, faces


class Pairing(ABC):
    """Pairs by number, `0 <= number < len(pairing)`, person after person; negative numbers count from the end.

    Attributes:
        identities: int `[kept]`, the people that have both voices and faces.
        skipped: how many people have only one of them, or nothing.
    """

    def __init__(self, voices: npt.ArrayLike, faces: npt.ArrayLike) -> None:
        """Args:
            voices, faces: how many each person has, `[people]` each.

        Raises:
            ValueError: not one count of each for everybody, or a negative one.
        """
        all_voices, all_faces = np.asarray(voices, np.int64), np.asarray(faces, np.int64)
        if all_voices.shape != all_faces.shape or all_voices.ndim != 1:
            raise ValueError("A pairing needs one count of voices and one of faces for every person.")
        if min(all_voices.min(initial=0), all_faces.min(initial=0)) < 0:
            raise ValueError("Nobody has fewer than no voices or faces.")
        self.identities: Counts = np.flatnonzero((all_voices > 0) & (all_faces > 0))
        self.skipped = len(all_voices) - len(self.identities)
        self._voices, self._faces = all_voices[self.identities], all_faces[self.identities]
        self._ends: Counts = np.cumsum(self._pairs_each())

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, number: int) -> Pair:
        number = operator.index(number)
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"There are {len(self)} pairs.")
        row = int(np.searchsorted(self._ends, number, side="right"))
        within = number - (int(self._ends[row - 1]) if row else 0)
        identity = int(self.identities[row])
        return Pair(identity, *self._pair(identity, within, int(self._voices[row]), int(self._faces[row])))

    def __iter__(self) -> Iterator[Pair]:
        return (self[number] for number in range(len(self)))

    @abstractmethod
    def _pairs_each(self) -> Counts:
        """How many pairs each person makes, `[kept]`."""

    @abstractmethod
    def _pair(self, identity: int, within: int, voices: int, faces: int) -> tuple[int, int | None]:
        """Voice and face of a person's pair."""


class AllToAll(Pairing):
    """Every voice with every face of its person: S·E pairs, all faces of one voice in a row."""

    def _pairs_each(self) -> Counts:
        return self._voices * self._faces

    def _pair(self, identity: int, within: int, voices: int, faces: int) -> tuple[int, int | None]:
        return divmod(within, faces)


class OneToOne(Pairing):
    """Each voice and each face at most once: min(S, E) pairs.

    Args:
        seed: draws who is paired with whom, and which are left over; another seed, such as one for every epoch, gives
            others their turn. Without one the first goes with the first, and the last are left over.
    """

    def __init__(self, voices: npt.ArrayLike, faces: npt.ArrayLike, seed: int | None = None) -> None:
        super().__init__(voices, faces)
        self.seed = seed

    def _pairs_each(self) -> Counts:
        return np.minimum(self._voices, self._faces)

    def _pair(self, identity: int, within: int, voices: int, faces: int) -> tuple[int, int | None]:
        if self.seed is None:
            return within, within
        return (
            shuffled(within, voices, (self.seed, identity, 0)),
            shuffled(within, faces, (self.seed, identity, 1)),
        )


class AllToOne(Pairing):
    """Every voice once, or the first `limit` of each person, with one face: min(S, limit) pairs.

    Args:
        limit: None is no limit; so is a negative number, as in the original.
        face: `first`; `mean` of all the person's embeddings; `random`: one for each voice, by the seed.
    """

    def __init__(
        self,
        voices: npt.ArrayLike,
        faces: npt.ArrayLike,
        limit: int | None = None,
        face: FaceChoice = "first",
        seed: int = 0,
    ) -> None:
        if face not in get_args(FaceChoice):
            raise ValueError(f"There is no choice of a face {face!r}; use first, mean or random.")
        self.limit, self.face, self.seed = limit, face, seed
        super().__init__(voices, faces)

    def _pairs_each(self) -> Counts:
        if self.limit is None or self.limit < 0:
            return self._voices
        return np.minimum(self._voices, self.limit)

    def _pair(self, identity: int, within: int, voices: int, faces: int) -> tuple[int, int | None]:
        if self.face == "mean":
            return within, None
        if self.face == "random":
            return within, mixed(self.seed, identity, within) % faces
        return within, 0


def make_pairing(
    rule: Rule,
    people: People | tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    limit: int | None = None,
    face: FaceChoice = "first",
    seed: int | None = None,
    compat: Compat = None,
) -> Pairing:
    """The pairing of that name.

    Args:
        people: with names, or counts of voices and faces. For the original's pairs, `People.listed` needs its `compat`
            too: it decides the order.
        limit, face: of `all_to_one`.
        seed: of `one_to_one` and of random faces.
        compat: `original` has the first face and no seed.

    Raises:
        ValueError: an unknown rule, or a choice that the original does not have.
    """
    voices, faces = people.counts() if isinstance(people, People) else people
    if compat == "original" and (face != "first" or seed is not None):
        raise ValueError("The original pairs with the first face and draws nothing; leave out face and seed.")
    if rule == "all_to_all":
        return AllToAll(voices, faces)
    if rule == "one_to_one":
        return OneToOne(voices, faces, seed)
    if rule == "all_to_one":
        return AllToOne(voices, faces, limit, face, seed or 0)
    raise ValueError(f"There is no pairing {rule!r}; use {', '.join(get_args(Rule))}.")
