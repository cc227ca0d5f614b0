"""Writes `core/client/answers.py`: what the API answers, as types for scripts, made of its own description.

The client may not import the dashboard, where the schemas are; a copy by hand would fall behind. After a change of a
schema: `python -m tests.dashboard.answer_types`. A test holds the file to the description.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from core.config import Settings
from dashboard.api.openapi import described
from dashboard.app import create_app

FILE = Path(__file__).resolve().parents[2] / "core" / "client" / "answers.py"
_HEAD = '''"""What the API answers, as types. Not for hands: written by `python -m tests.dashboard.answer_types`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict
'''
_REFERENCE = "#/components/schemas/"
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


@functools.cache
def read_description() -> dict[str, Any]:
    """The description of the API, of an app that has nothing behind it: nothing is asked of it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite+pysqlite:///{Path(folder) / 'ledger.sqlite3'}",
            broker_url=SecretStr("redis://127.0.0.1:1"),
            s3_endpoint_url="http://127.0.0.1:1",
            s3_bucket="none",
            s3_access_key=SecretStr("none"),
            s3_secret_key=SecretStr("none"),
            secret_key=SecretStr("only-for-the-description-" * 2),
        )
        return described(cast(Any, create_app(settings)).api_doc)


def write_types(description: dict[str, Any]) -> str:
    """The text of the file."""
    schemas = description["components"]["schemas"]
    wanted: list[str] = []
    waiting = sorted(set(_answered(description)))
    while waiting:
        name = waiting.pop(0)
        if name not in wanted:
            wanted.append(name)
            waiting += sorted(set(_references(schemas[name])))
    written = _HEAD + "\n\n".join(_type(name, schemas[name]) for name in sorted(wanted))
    return _formatted(written)


def _answered(description: dict[str, Any]) -> Iterator[str]:
    for operations in description["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    yield from _references(response.get("content", {}).get("application/json", {}))


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].removeprefix(_REFERENCE)
        for key, value in part.items():
            if key != "discriminator":
                yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _type(name: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"{name} = Literal[{', '.join(map(repr, schema['enum']))}]\n"
    fields = schema.get("properties")
    if not fields:
        return f"{name} = {_written(schema)}\n"
    about = " ".join(str(schema.get("description", "")).split()).partition(". ")[0].rstrip(".")
    lines = [f"class {name}(TypedDict):", *([f'    """{about}."""\n'] if about else [])]
    lines += [f"    {field}: {_written(part)}" for field, part in fields.items()]
    return "\n".join(lines) + "\n"


def _written(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"]).removeprefix(_REFERENCE)
    if "const" in part:
        return f"Literal[{part['const']!r}]"
    if "enum" in part:
        return f"Literal[{', '.join(map(repr, part['enum']))}]"
    for several in ("anyOf", "oneOf"):
        if several in part:
            return " | ".join(dict.fromkeys(_written(one) for one in part[several]))
    if part.get("type") == "array":
        return f"list[{_written(part.get('items', {}))}]"
    if part.get("type") == "object":
        extra = part.get("additionalProperties")
        return f"dict[str, {_written(extra) if isinstance(extra, dict) else 'Any'}]"
    return _PLAIN.get(str(part.get("type")), "Any")


def _formatted(text: str) -> str:
    program = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    done = subprocess.run(program, input=text, capture_output=True, text=True, check=True)
    return re.sub(r"[ \t]+\n", "\n", done.stdout)


if __name__ == "__main__":
    FILE.write_text(write_types(read_description()), "utf-8")
