"""Words in the language of whoever looks: Jinja's own i18n extension and gettext of the standard library.

English is what stands in templates and in `dashboard/*words.py`, and is shown where a catalogue lacks something.
Another language is a file `translations/CODE/LC_MESSAGES/dashboard.mo`, made with any gettext tool from what
`python -m dashboard.translation` prints; it is offered as soon as it is there.
"""

from __future__ import annotations

import ast
import gettext as catalogues
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from flask import Flask, current_app, g, has_request_context, request
from jinja2 import Environment

from dashboard.navigation import link_words

Key = TypeVar("Key")
ENGLISH = "en"
DOMAIN = "dashboard"
_HERE = Path(__file__).parent
FOLDER = _HERE / "translations"
# Modules whose dictionaries hold nothing but words for people.
_WORDS = (
    "dashboard/words.py",
    "dashboard/training_words.py",
    "dashboard/schedule_words.py",
    "dashboard/operating_words.py",
    "core/metric_words.py",
    "core/schedule_states.py",
)
_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'


@dataclass(frozen=True)
class Message:
    """Something to be translated: where it stands, and its plural where it counts something."""

    text: str
    plural: str | None
    place: str


def register_translation(app: Flask, folder: Path = FOLDER) -> None:
    """Lets templates say `{% trans %}` and `_()`.

    Args:
        folder: with a folder for each language beside English.
    """
    offered = [
        ENGLISH,
        *sorted(path.parent.parent.name for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")),
    ]

    @cache
    def catalogue(language: str) -> catalogues.NullTranslations:
        return catalogues.translation(DOMAIN, folder, [language], fallback=True)

    def language() -> str:
        """The best that the browser asks for and we have; settled once for each request."""
        if not has_request_context():
            return ENGLISH
        if "language" not in g:
            g.language = _best(request.accept_languages.values(), offered)
        return str(g.language)

    def gettext(text: str) -> str:
        return catalogue(language()).gettext(text)

    def ngettext(text: str, plural: str, count: int) -> str:
        return catalogue(language()).ngettext(text, plural, count)

    app.extensions["translation"] = gettext
    prepare(app.jinja_env)
    # The extension adds this to the environment when it is loaded, which type checkers cannot know.
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals["language"] = language
    app.jinja_env.filters["words"] = gettext


def _best(asked: Iterable[str], offered: list[str]) -> str:
    """The first that is there, also for a region of it. Werkzeug would take a later one that is spelt alike."""
    for language in asked:
        for name in (language, language.partition("-")[0]):
            if name in offered:
                return name
    return ENGLISH


def said(text: str) -> str:
    """A word in the language of the request, or in English where there is none."""
    return str(current_app.extensions["translation"](text)) if has_request_context() else text


class Said(Mapping[Key, str]):
    """A table of words, read in the language of the request."""

    def __init__(self, words: Mapping[Key, str]) -> None:
        self._words = words

    def __getitem__(self, key: Key) -> str:
        return said(self._words[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def prepare(environment: Environment) -> None:
    """Makes an environment read `{% trans %}`, whose line breaks and indents are no part of a message."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True


def messages(templates: Path = _HERE / "templates") -> Iterator[Message]:
    """Everything that can be translated, in templates and in dictionaries of words."""
    # It only reads templates and never renders one.
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)
    prepare(environment)
    for path in sorted(templates.rglob("*.html")):
        place = path.relative_to(_HERE.parent) if path.is_relative_to(_HERE) else path
        found = environment.extract_translations(path.read_text("utf-8"))  # type: ignore[attr-defined]
        for line, function, texts in found:
            # What is no plain string, such as the number of a plural, is None.
            text, plural, *_ = (*texts, None) if isinstance(texts, tuple) else (texts, None)
            if text:
                yield Message(text, plural if function == "ngettext" else None, f"{place}:{line}")
    yield from (Message(words, None, "dashboard/navigation.py") for words in link_words())
    for name in _WORDS:
        tree = ast.parse((_HERE.parent / name).read_text("utf-8"))
        for table in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
            for text in _texts(table.values):
                yield Message(text.value, None, f"{name}:{text.lineno}")


def template(found: Iterator[Message]) -> str:
    """The messages as a POT file, each once, with all the places where it stands."""
    places: dict[tuple[str, str | None], list[str]] = {}
    for message in found:
        places.setdefault((message.text, message.plural), []).append(message.place)
    entries = []
    for (text, plural), where in places.items():
        lines = [f"#: {' '.join(where)}", f"msgid {_quoted(text)}"]
        lines += (
            [f"msgid_plural {_quoted(plural)}", 'msgstr[0] ""', 'msgstr[1] ""'] if plural else ['msgstr ""']
        )
        entries.append("\n".join(lines))
    return "\n\n".join([_HEADER, *entries]) + "\n"


def _texts(values: list[ast.expr]) -> Iterator[_Text]:
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield _Text(value.value, value.lineno)
        elif isinstance(value, ast.Tuple):
            yield from _texts(value.elts)


@dataclass(frozen=True)
class _Text:
    value: str
    lineno: int


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


if __name__ == "__main__":
    sys.stdout.write(template(messages()))
