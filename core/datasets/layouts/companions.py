"""Arrays that lie beside a picture and belong to it: `<name>_embedding.npy` and `<name>_landmarks.npy`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.datasets.layouts.source import SourceFile

COMPANIONS = ("embedding", "landmarks")


def companions_of(files: Iterable[SourceFile]) -> Mapping[str, dict[str, SourceFile]]:
    """The companions of each picture that has some, by the picture's path and by what they are."""
    files = list(files)
    arrays = {file.path: file for file in files if file.kind == "array"}
    found: dict[str, dict[str, SourceFile]] = {}
    for file in files:
        if file.kind != "picture":
            continue
        base = file.path[: len(file.path) - len(file.ending)]
        for what in COMPANIONS:
            if (array := arrays.get(f"{base}_{what}.npy")) is not None:
                found.setdefault(file.path, {})[what] = array
    return found


def companion_kind(file: SourceFile) -> str | None:
    """What an array is by the end of its name; None for one that stands for itself."""
    return next((what for what in COMPANIONS if file.stem.lower().endswith(f"_{what}")), None)
