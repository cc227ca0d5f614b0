"""What somebody writes in a shell, as a checked spec: a preset, a file of settings, and single values on top."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import InvalidRequest
from core.slips import slip_words
from core.training.presets import PRESETS
from core.training.specs import TrainSpec

Spec = TypeVar("Spec", bound=BaseModel)
_TOLD = 5
_TOP = frozenset(TrainSpec.model_fields)
# A union's member that pydantic names in the place of a slip; nobody wrote it.
_TAGS = frozenset(preset.recipe.task for preset in PRESETS.values())


def train_values(
    preset: str | None, config: Path | None, settings: Sequence[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a TrainSpec, unchecked; later ones go over earlier ones.

    Args:
        preset: where the recipe comes from; None where the file has one.
        config: a JSON file with any of the fields.
        settings: `dotted.key=value`, the value as JSON or else as a word. Keys are those of the recipe, or begin with
            one of the other fields, as in `machine.processes=2`.
        given: whole fields; those that are None are left out.

    Raises:
        InvalidRequest: an unknown preset, a file that is no JSON object, a setting that is none.
    """
    values: dict[str, Any] = {}
    if preset is not None:
        found = PRESETS.get(preset)
        if found is None:
            raise InvalidRequest(f"There is no preset {preset!r}. There are: {', '.join(PRESETS)}.")
        values = {
            "recipe": found.recipe.model_dump(mode="json"),
            "machine": found.machine.model_dump(mode="json"),
        }
    if config is not None:
        values = _merged(values, _read(config))
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not (key.strip() and sign):
            raise InvalidRequest(f"--set takes KEY=VALUE, as in loop.batch=8, not {setting!r}.")
        _put(values, key.strip(), _json_or_word(value))
    values |= {name: value for name, value in given.items() if value is not None}
    if "recipe" not in values:
        raise InvalidRequest(
            "Name a preset (voicesketch train --list), or a file with a recipe: --config FILE."
        )
    return values


def checked(kind: type[Spec], values: Mapping[str, Any]) -> Spec:
    """Raises InvalidRequest, with every field that is wrong and how."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        slips = []
        for slip in error.errors():
            parts = [str(part) for at, part in enumerate(slip["loc"]) if not (at == 1 and part in _TAGS)]
            slips.append(f"{'.'.join(parts) or 'the whole'}: {slip_words(slip)}")
        more = f" (and {len(slips) - _TOLD} more)" if len(slips) > _TOLD else ""
        raise InvalidRequest(f"This cannot be used. {'; '.join(slips[:_TOLD])}{more}.") from error


def _read(config: Path) -> dict[str, Any]:
    try:
        values = json.loads(config.read_text("utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{config} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise InvalidRequest(f"{config} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InvalidRequest(f"{config} holds no JSON object.")
    return values


def _merged(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe of another task takes the whole place of the one below it."""
    tasks = [part.get("task") for part in (under, over) if isinstance(part.get("task"), str)]
    if len(set(tasks)) > 1:
        return dict(over)
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _put(values: dict[str, Any], key: str, value: object) -> None:
    *parts, last = key.split(".")
    if (parts or [last])[0] not in _TOP:
        parts = ["recipe", *parts]
    into = values
    for part in parts:
        below = into.get(part)
        if not isinstance(below, dict):
            below = into[part] = {}
        into = below
    into[last] = value


def _json_or_word(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
