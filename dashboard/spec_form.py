"""A form for a spec, made of its JSON schema, so that a new setting is on the page as soon as it is in the spec.

What a value may be is said once, in `core/training/specs.py`; a page shows it, and the API checks it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from dashboard.training_words import setting_words

# Fields that name a model; the page offers the registered ones.
_MODELS = frozenset(
    {"face_encoder", "face_decoder", "backbone", "voice_encoder", "parent", "model", "partner"}
)


@dataclass(frozen=True)
class FormField:
    """One value.

    Attributes:
        path: dotted, as the API names it in its problems.
        kind: `integer`, `number`, `text`, `model`, `choice`, `switch`, `list` (of numbers), `many` (of choices) or
            `sizes` (named values).
        text: the value as it stands in an input.
        value: as it is.
        minimum, maximum: inclusive; None where there is no such end.
    """

    path: str
    label: str
    help: str
    kind: str
    text: str
    value: Any
    nullable: bool
    choices: list[str] = field(default_factory=list)
    minimum: float | None = None
    maximum: float | None = None
    longest: int | None = None


@dataclass(frozen=True)
class FormGroup:
    """Values that belong together.

    Attributes:
        optional: the whole group may be left out (null); `given` says whether it is there.
    """

    path: str
    title: str
    help: str
    fields: list[FormField]
    groups: list[FormGroup]
    optional: bool = False
    given: bool = True

    def field(self, path: str) -> FormField | None:
        """A field anywhere below."""
        for one in self.fields:
            if one.path == path:
                return one
        for group in self.groups:
            if (found := group.field(path)) is not None:
                return found
        return None

    def without(self, paths: frozenset[str]) -> FormGroup:
        """The same form without some fields, and without groups that hold nothing any more."""
        groups = [group.without(paths) for group in self.groups]
        return FormGroup(
            self.path,
            self.title,
            self.help,
            [one for one in self.fields if one.path not in paths],
            [group for group in groups if group.fields or group.groups],
            self.optional,
            self.given,
        )


def form_of(values: BaseModel, path: str = "", title: str = "") -> FormGroup:
    """The form of a spec or a part of one, filled in with its values.

    Args:
        path: where it stands in the whole spec; names within begin with it.
    """
    schema = type(values).model_json_schema()
    return _group(
        schema, schema.get("$defs", {}), path, title, values.model_dump(mode="json"), optional=False
    )


def _group(
    schema: dict[str, Any],
    defs: dict[str, Any],
    path: str,
    title: str,
    values: dict[str, Any] | None,
    *,
    optional: bool,
    about: str = "",
) -> FormGroup:
    fields: list[FormField] = []
    groups: list[FormGroup] = []
    for name, given in schema.get("properties", {}).items():
        inner, nullable = _without_null(given, defs)
        where = f"{path}.{name}" if path else name
        value = given.get("default") if values is None else values.get(name, given.get("default"))
        if "const" in inner and not nullable:
            continue  # such as the kind, which is no choice
        if "oneOf" in inner:
            continue  # the recipe, of which each kind has a form of its own
        if inner.get("type") == "object" and "properties" in inner:
            groups.append(
                _group(
                    inner,
                    defs,
                    where,
                    setting_words(name),
                    value,
                    optional=nullable,
                    about=given.get("description", ""),
                )
            )
        else:
            fields.append(_field(name, where, inner, given, value, nullable))
    return FormGroup(path, title, about, fields, groups, optional, values is not None)


def _field(
    name: str, path: str, schema: dict[str, Any], given: dict[str, Any], value: Any, nullable: bool
) -> FormField:
    kind, choices = _kind(name, schema)
    low, high = schema.get("minimum"), schema.get("maximum")
    return FormField(
        path=path,
        label=setting_words(name),
        help=given.get("description", ""),
        kind=kind,
        text=_text(kind, value),
        value=value,
        nullable=nullable,
        choices=choices,
        minimum=schema.get("exclusiveMinimum") if low is None else low,
        maximum=schema.get("exclusiveMaximum") if high is None else high,
        longest=schema.get("maxLength"),
    )


def _kind(name: str, schema: dict[str, Any]) -> tuple[str, list[str]]:
    if "const" in schema:
        return "choice", [schema["const"]]
    if "enum" in schema:
        return "choice", schema["enum"]
    match schema.get("type"):
        case "boolean":
            return "switch", []
        case "integer" | "number" as kind:
            return kind, []
        case "array":
            one = schema.get("items", {})
            return ("many", one["enum"]) if isinstance(one, dict) and "enum" in one else ("list", [])
        case "object":
            return "sizes", []
    return ("model" if name in _MODELS else "text"), []


def _text(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind == "list":
        return ", ".join(_plain(one) for one in value)
    if kind == "sizes":
        return "\n".join(f"{name} = {_plain(one)}" for name, one in value.items())
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(one) for one in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _without_null(schema: dict[str, Any], defs: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """What a value is, references followed, and whether it may be left out."""
    if "$ref" in schema:
        return _without_null(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        kinds = [one for one in schema["anyOf"] if one.get("type") != "null"]
        inner, _ = _without_null(kinds[0], defs)
        return inner, len(kinds) < len(schema["anyOf"])
    return schema, False
