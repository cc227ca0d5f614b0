"""Every setting with its type, limits and default, from the class that reads them."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from core.config import BUNDLED_WEIGHTS, PREFIX, Settings
from docs.site.reference.tables import code, plain, table

_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def page() -> str:
    """The page in Markdown."""
    schemas = Settings.model_json_schema()["properties"]
    rows = [
        [code(PREFIX + name.upper()), _type(schemas[name]), _default(field.default), plain(field.description)]
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Every environment variable that a process reads, written from the code. Which of them",
            "`voicesketch up` decides by itself, and how they belong together, is told in",
            "[configuration](../configuration.md).",
            "",
            table(("variable", "type", "default", "what it is"), rows),
        ]
    )


def _type(schema: dict[str, Any]) -> str:
    given = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    words = []
    for one in given:
        if "enum" in one or "const" in one:
            words.append(" or ".join(code(value) for value in one.get("enum", [one.get("const")])))
            continue
        limits = [f"{sign} {one[key]}" for key, sign in _SIGNS.items() if key in one]
        kind = "secret" if one.get("format") == "password" else one.get("format", one.get("type", "text"))
        words.append(" ".join([str(kind), ", ".join(limits)]).strip())
    return " or ".join(words)


def _default(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default == BUNDLED_WEIGHTS:
        return "`weights/default` of the checkout"
    return "empty" if default in (None, "") else code(default)
