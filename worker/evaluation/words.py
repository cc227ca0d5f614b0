"""How reports write the numbers of measures; what measures are called is in `core.models.metric_words`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Format = Literal["share", "number", "degrees", "pixels"]


def format_of(name: str) -> Format:
    """How its numbers are written."""
    family = name.split(".")[0]
    if family in ("matching", "retrieval", "face_found", "auc") or name in (
        "attributes.gender",
        "attributes.gender.read",
        "attributes.age",
    ):
        return "share"
    if "angle" in name:
        return "degrees"
    return "pixels" if name == "landmarks.rmse" else "number"


def written(name: str, value: float) -> str:
    """A number of a measure as people read it; its unit never stands on a line of its own."""
    kind = format_of(name)
    if kind == "share":
        text = f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    elif kind == "degrees":
        text = f"{value:.1f}°"
    elif kind == "pixels":
        text = f"{value:.2f}\N{NO-BREAK SPACE}px"
    elif abs(value) >= 10:
        text = f"{value:.1f}"
    elif name.startswith("craniofacial"):
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}") if value < 0 else text


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Names with those that differ in the judge alone next to each other, otherwise in their order."""
    given = list(names)
    first = {name.removesuffix(".dlib"): place for place, name in reversed(list(enumerate(given)))}
    return sorted(given, key=lambda name: first[name.removesuffix(".dlib")])
