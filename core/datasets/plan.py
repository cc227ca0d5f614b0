"""The plan of a dataset: which inputs become which entries of which shard, settled before anything is read.

A plan is a pure function of the names, contents and recipe, in a fixed order: whoever carries it out, on however many
workers and after however many deaths, makes the same dataset version. It is kept as lines of JSON: a head, then people,
then entries, then what was left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from core.datasets.recipes import SPLITS, Recipe, Side, Split

FORMAT = 1
# Of how shards are made; raise it whenever the same inputs and recipe give other bytes than before.
SHARD_FORMAT = 1


@dataclass(frozen=True)
class Person:
    """An identity.

    Attributes:
        id: unique, of letters, digits, `-`, `_` and `.`; made from the name.
        name: as the source has it, in any script.
        attributes: such as gender, age group, nationality; what nobody told is absent.
    """

    id: str
    name: str
    split: Split
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One input of one side of one person.

    Attributes:
        key: relative path in the source, the entry's name in reports; unique.
        person: id of the identity.
        form: how the input comes. `array`: features or an embedding that were made before (.npy).
        source: SHA-256 of the content where it was uploaded; None where it is read from a folder.
        companions: further inputs that belong to it, by what they are (`landmarks`, `embedding`), each `[key, source]`.
    """

    key: str
    person: str
    side: Side
    form: Literal["recording", "picture", "array"]
    source: str | None = None
    companions: dict[str, tuple[str, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """An input that is no part of the dataset, and why.

    `reason` is a stable code such as `not_media`, `no_pair`, `clip_limit`, `unknown_layout`; `message` is for people.
    """

    key: str
    reason: str
    message: str


@dataclass(frozen=True)
class Shard:
    """A run of entries that is kept in one file. All of one split."""

    number: int
    split: Split
    entries: tuple[Entry, ...]

    def inputs_sha256(self, recipe: Recipe) -> str:
        """Names everything its bytes depend on, besides the kind of device: who made it once need not do so again."""
        inputs = {
            "format": SHARD_FORMAT,
            "number": self.number,
            "split": self.split,
            "entries": [asdict(entry) for entry in self.entries],
            # How people are split does not show in a shard beyond the part that it is of.
            "recipe": recipe.model_dump(mode="json", include={"voice", "face", "shard_entries"}),
        }
        return hashlib.sha256(_line(inputs).encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """What a dataset will be made of. People and entries are in the order of the dataset.

    Attributes:
        sizes: of a plan that grew out of another: how many entries each shard has, one after the other. Empty where
            the recipe alone says it.
    """

    layout: str
    recipe: Recipe
    people: tuple[Person, ...]
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()
    sizes: tuple[int, ...] = ()

    def shards(self) -> list[Shard]:
        """Runs of `recipe.shard_entries` entries, split by split; or of the sizes that the plan gives."""
        split_of = {person.id: person.split for person in self.people}
        if self.sizes:
            return self._given_shards(split_of)
        shards: list[Shard] = []
        for split in SPLITS:
            entries = [entry for entry in self.entries if split_of[entry.person] == split]
            for start in range(0, len(entries), self.recipe.shard_entries):
                part = tuple(entries[start : start + self.recipe.shard_entries])
                shards.append(Shard(len(shards), split, part))
        return shards

    def _given_shards(self, split_of: dict[str, Split]) -> list[Shard]:
        if sum(self.sizes) != len(self.entries):
            raise ValueError(f"shards of {sum(self.sizes)} entries cannot hold {len(self.entries)}")
        shards, start = [], 0
        for number, size in enumerate(self.sizes):
            part = self.entries[start : start + size]
            splits = {split_of[entry.person] for entry in part}
            if len(splits) != 1:
                raise ValueError(f"shard {number} must hold entries of one split, not of {len(splits)}")
            shards.append(Shard(number, splits.pop(), part))
            start += size
        return shards

    def to_bytes(self) -> bytes:
        """The plan as JSON lines in UTF-8; equal plans give equal bytes."""
        return b"".join(line.encode() for line in self._lines())

    @property
    def sha256(self) -> str:
        """Names the plan."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def outline_sha256(self) -> str:
        """Names the plan apart from where its inputs come from: the same for a folder and for its files once sent."""
        entries = tuple(
            replace(
                entry,
                source=None,
                companions={what: (key, None) for what, (key, _) in entry.companions.items()},
            )
            for entry in self.entries
        )
        return replace(self, entries=entries).sha256

    def _lines(self) -> Iterator[str]:
        head: dict[str, Any] = {
            "format": FORMAT,
            "layout": self.layout,
            "recipe": self.recipe.model_dump(mode="json"),
        }
        if self.sizes:  # plans that grew out of nothing keep the names they have always had
            head["sizes"] = list(self.sizes)
        yield _line({"plan": head})
        yield from (_line({"person": asdict(person)}) for person in self.people)
        yield from (_line({"entry": asdict(entry)}) for entry in self.entries)
        yield from (_line({"left_out": asdict(one)}) for one in self.left_out)

    @classmethod
    def from_bytes(cls, content: bytes) -> Plan:
        """Reads what `to_bytes` wrote.

        Raises:
            ValueError: it is no plan.
        """
        lines = [json.loads(line) for line in content.splitlines()]
        if not lines or lines[0].get("plan", {}).get("format") != FORMAT:
            raise ValueError("this is not a plan of a dataset, or of another version")
        head = lines[0]["plan"]
        return cls(
            layout=head["layout"],
            recipe=Recipe.model_validate(head["recipe"]),
            people=tuple(Person(**value) for value in _of("person", lines)),
            entries=tuple(_entry(value) for value in _of("entry", lines)),
            left_out=tuple(LeftOut(**value) for value in _of("left_out", lines)),
            sizes=tuple(head.get("sizes", ())),
        )


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) + "\n"


def _of(what: str, lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (line[what] for line in lines if what in line)


def _entry(value: dict[str, Any]) -> Entry:
    companions = {name: (key, source) for name, (key, source) in value["companions"].items()}
    return Entry(**{**value, "companions": companions})
