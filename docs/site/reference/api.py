"""Every route of the API, and what it takes and answers, from its own OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboard.api.openapi import described
from docs.site.reference.places import no_service
from docs.site.reference.tables import code, plain, table

_REFERENCE = "#/components/schemas/"
_HEADS = ("field", "type", "", "what it is")


def page() -> str:
    """The page in Markdown."""
    with no_service() as app:
        description: dict[str, Any] = described(app.api_doc)  # type: ignore[attr-defined]
    lines = [
        "# Routes of the API",
        "",
        "Every route and every schema, written from the description that a service gives of itself at",
        "`/api/v1/openapi.json`. How to sign in, what errors look like and how lists go on is told in",
        "[the API](../api.md).",
        "",
    ]
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in description["tags"]}
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).extend(_route(method.upper(), path, operation))
    told = {tag["name"]: tag.get("description", "") for tag in description["tags"]}
    for tag, routes in by_tag.items():
        if routes:
            lines += [f"## {tag.capitalize()}", "", plain(told.get(tag, "")), "", *routes]
    lines += ["## Schemas", ""]
    for name, schema in sorted(description["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _route(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    scope = next((one["token"] for one in operation.get("security", ()) if one.get("token")), None)
    yield from (f"### {code(f'{method} {path}')}", "", plain(operation["summary"]), "")
    if operation.get("description"):
        yield from (plain(operation["description"].replace("<br/>", " ")), "")
    facts = [f"Least scope of a token: {code(scope[0])}." if scope else "Needs nobody to be signed in."]
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        facts.append("Takes " + ", ".join(_content(kind, one) for kind, one in body.items()) + ".")
    for status, answer in operation["responses"].items():
        if status.startswith(("2", "3")):
            kinds = ", ".join(_content(kind, one) for kind, one in answer.get("content", {}).items())
            facts.append(f"Answers {status}" + (f" with {kinds}." if kinds else "."))
    yield from (" ".join(facts), "")
    rows = [
        [code(one["name"]), one["in"], _type(one["schema"]), plain(one.get("description", ""))]
        for one in operation.get("parameters", ())
    ]
    yield table(("parameter", "in", "type", "what it is"), rows)


def _content(kind: str, content: dict[str, Any]) -> str:
    reference = content.get("schema", {})
    return _type(reference) if kind == "application/json" and reference else code(kind)


def _schema(name: str, schema: dict[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    rows = [
        [code(field), _type(one), "" if field in required else "optional", plain(one.get("description", ""))]
        for field, one in schema.get("properties", {}).items()
    ]
    values = ", ".join(code(value) for value in schema.get("enum", ()))
    told = plain(schema.get("description", ""))
    return [f"### {name}", "", told, "", f"One of {values}." if values else "", "", table(_HEADS, rows)]


def _type(schema: dict[str, Any]) -> str:
    """In words: a schema of its own as a link, a choice as its values."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return f"[{name}](#{name.lower()})"
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[choice]))
    if "enum" in schema or "const" in schema:
        return " or ".join(code(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    kind = schema.get("type", "anything")
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)
