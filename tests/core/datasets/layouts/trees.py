"""Small trees of files: names are all that a plan looks at, apart from tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.datasets.plan import Plan
from core.datasets.recipes import FaceRecipe, Recipe, VoiceRecipe

VOICES = Recipe(face=None)
FACES = Recipe(voice=None)
BOTH = Recipe(voice=VoiceRecipe(), face=FaceRecipe())
ONE_SIDED = Recipe(both_sides=False)


def grow(folder: Path, *paths: str, tables: Mapping[str, str] | None = None) -> Path:
    """Writes empty files, and tables with what is in them."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    for path, text in (tables or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def keys_of(plan: Plan, person: str) -> list[str]:
    """What a person has, by the name in the source."""
    ids = {one.name: one.id for one in plan.people}
    return [entry.key for entry in plan.entries if entry.person == ids[person]]


def names_of(plan: Plan) -> list[str]:
    return [person.name for person in plan.people]


def left_out(plan: Plan) -> dict[str, str]:
    return {one.key: one.reason for one in plan.left_out}
