"""What a reader of a layout answers: inputs with the person each belongs to, and what it could not use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.datasets.layouts.source import Files, SourceFile
from core.datasets.plan import LeftOut
from core.datasets.recipes import Recipe, Side, Split


@dataclass(frozen=True)
class LayoutOptions:
    """What cannot always be told from the files.

    Attributes:
        columns: of a manifest, by what they hold: `voice`, `face`, `identity`, `split`, `path`, `side`.
        faces: which pictures of HQ-VoxCeleb: with the background removed, or as they were.
        manifest: path of the table that names the inputs, where there are several.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    faces: Literal["masked", "origin"] = "masked"
    manifest: str | None = None


@dataclass(frozen=True)
class Input:
    """One input of one person, before people have ids."""

    person: str
    side: Side
    file: SourceFile
    companions: Mapping[str, SourceFile] = field(default_factory=dict)


@dataclass
class Reading:
    """Everything that a reader found.

    Attributes:
        attributes: of people, by name.
        splits: that the source itself gives, by name of the person.
        used: paths of tables that were read; they are not left out, and no inputs.
        beside: reason and message for media that the layout has no place for.
    """

    inputs: list[Input] = field(default_factory=list)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    beside: tuple[str, str] = ("no_person", "It does not lie in the folder of a person.")

    def take(
        self, person: str, file: SourceFile, side: Side, companions: Mapping[str, SourceFile] | None = None
    ) -> None:
        self.inputs.append(Input(person, side, file, companions or {}))

    def leave(self, key: str, reason: str, message: str) -> None:
        self.left_out.append(LeftOut(key, reason, message))


@dataclass(frozen=True)
class Request:
    """What a reader is asked."""

    files: Files
    recipe: Recipe
    options: LayoutOptions

    def wants(self, side: Side) -> bool:
        return (self.recipe.voice if side == "voice" else self.recipe.face) is not None


def side_of(file: SourceFile) -> Side | None:
    """The side that an ending speaks of; arrays may be of either."""
    match file.kind:
        case "recording":
            return "voice"
        case "picture":
            return "face"
    return None
