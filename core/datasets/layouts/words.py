"""Words by which folders and columns all over the world say which part or which side something belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from core.datasets.recipes import Side, Split

_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SIDES: dict[Side, tuple[str, ...]] = {
    "voice": ("audio", "audios", "recording", "recordings", "speech", "voice", "voices", "wav", "wavs"),
    "face": ("face", "faces", "image", "images", "photo", "photos", "picture", "pictures"),
}
SPLIT_WORDS: dict[str, Split] = {word: split for split, words in _SPLITS.items() for word in words}
SIDE_WORDS: dict[str, Side] = {word: side for side, words in _SIDES.items() for word in words}


class Splits:
    """The parts that folders above those of people give."""

    def __init__(self) -> None:
        self._seen: dict[str, set[Split]] = defaultdict(set)

    def see(self, person: str, folders: Iterable[str]) -> None:
        self._seen[person] |= {SPLIT_WORDS[word.lower()] for word in folders if word.lower() in SPLIT_WORDS}

    def given(self) -> dict[str, Split]:
        """The part of each person. Who lies in several is divided anew rather than left in all of them."""
        return {person: next(iter(seen)) for person, seen in self._seen.items() if len(seen) == 1}
