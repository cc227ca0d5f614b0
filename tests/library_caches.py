"""What libraries work out anew for every app and every S3 client, worked out once for all tests.

In earnest a process makes one app and one client; the tests make a thousand, and each would compile the same routes
and read the same description of S3. Nothing else is shared: every app has its own routes, every client its own session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.loaders import Loader
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


def keep_what_is_always_the_same() -> None:
    """From now on, in this process."""
    _keep_compiled_routes()
    Flask.jinja_options["bytecode_cache"] = _CompiledTemplates()
    _keep_descriptions_of_services()


class _CompiledTemplates(BytecodeCache):
    """Found by a template's name and what is written in it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if compiled := self._kept.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


def _keep_compiled_routes() -> None:
    """A compiled builder takes its rule as an argument, and depends on nothing but what the rule says."""
    compile_builder = Rule._compile_builder
    kept: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}

    def compiled(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        said = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if said not in kept:
            kept[said] = compile_builder(self, append_unknown)
        return kept[said]

    Rule._compile_builder = compiled  # type: ignore[method-assign]


def _keep_descriptions_of_services() -> None:
    """Every session has a loader of its own, and all look into the same folders."""
    make = Loader.__init__
    kept: dict[Any, Any] = {}

    def made(self: Loader, *args: Any, **named: Any) -> None:
        make(self, *args, **named)
        self._cache = kept

    Loader.__init__ = made
