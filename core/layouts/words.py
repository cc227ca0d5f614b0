"""Words by which folders and columns all over the world say which part or which side something belongs to."""

from __future__ import annotations

from core.recipes import Side, Split

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
