"""Words in the language of whoever looks: Jinja's own i18n extension and gettext of the standard library.

English is what stands in templates, scripts, and Python, and is shown where a catalogue lacks something. Another
language is a file `translations/CODE/LC_MESSAGES/dashboard.mo`, made with any gettext tool from what
`python -m dashboard.translation` prints; it is offered as soon as it is there. Whoever asks with a token is a program:
it is told everything in English.
"""

from __future__ import annotations

import gettext as catalogues
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from flask import Flask, Response, abort, current_app, g, has_request_context, request, url_for

from dashboard.message_sources import NUMBER, messages, prepare, template
from dashboard.recognising import Shapes, messages_of
from dashboard.script_words import script_of

Key = TypeVar("Key")
ENGLISH = "en"
DOMAIN = "dashboard"
FOLDER = Path(__file__).parent / "translations"
_PUT_IN = re.compile(r"\{\{|\}\}|\{(\w+)\}")
_A_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class _Language:
    """A catalogue, the shapes of its sentences, and its script."""

    name: str
    catalogue: catalogues.NullTranslations
    shapes: Shapes
    script: str

    def say(self, text: str) -> str:
        """A text in this language: as it stands, or else as a message with values in it."""
        if not text:
            return text  # to gettext, this would mean the head of the catalogue
        known = self.catalogue.gettext(text)
        if known != text or (found := self.shapes.find(text)) is None:
            return known
        message, values = found
        # What is put in may be words of ours itself, such as the way of a metric.
        said = {
            name: self.catalogue.gettext(value) if " " in value else value for name, value in values.items()
        }
        return fill(self.catalogue.gettext(message), said)

    def number(self, text: str) -> str:
        written = self.catalogue.gettext(NUMBER)
        if len(written) != len(NUMBER):
            return text
        return text.translate({ord(","): written[1], ord("."): written[5]})


def register_translation(app: Flask, folder: Path = FOLDER) -> None:
    """Lets templates say `{% trans %}` and `_()`.

    Args:
        folder: with a folder for each language beside English.
    """
    files = {path.parent.parent.name: path for path in sorted(folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))}
    offered = [ENGLISH, *files]

    @cache
    def known(language: str) -> _Language:
        catalogue = catalogues.translation(DOMAIN, folder, [language], fallback=True)
        shapes = Shapes(messages_of(files[language]) if language in files else iter(()))
        return _Language(language, catalogue, shapes, script_of(catalogue) if language in files else "")

    def language() -> str:
        """The best that the browser asks for and we have; settled once for each request."""
        if not has_request_context() or g.get("by_token"):
            return ENGLISH
        if "language" not in g:
            g.language = _best(request.accept_languages.values(), offered)
        return str(g.language)

    def gettext(text: str) -> str:
        return known(language()).catalogue.gettext(text)

    def ngettext(text: str, plural: str, count: int) -> str:
        return known(language()).catalogue.ngettext(text, plural, count)

    def words_url() -> str | None:
        """The script with the words of scripts; None in English, where they stand in the scripts themselves."""
        script = known(language()).script
        version = hashlib.sha256(script.encode()).hexdigest()[:12]
        return url_for("script_words", language=language(), v=version) if script else None

    app.extensions["translation"] = lambda: known(language())
    prepare(app.jinja_env)
    # The extension adds this to the environment when it is loaded, which type checkers cannot know.
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals.update(language=language, words_url=words_url)
    app.jinja_env.filters["words"] = said
    app.extensions["script_words"] = lambda name: known(name).script if name in files else None
    if "script_words" not in app.view_functions:
        app.add_url_rule("/static/words/<language>.js", "script_words", _send_script)


def _send_script(language: str) -> Response:
    script = current_app.extensions["script_words"](language)
    if script is None:
        abort(404)
    response = Response(script, mimetype="text/javascript")
    response.headers["Cache-Control"] = f"public, max-age={_A_YEAR}, immutable"
    return response


def _best(asked: Iterable[str], offered: list[str]) -> str:
    """The first that is there, also for a region of it. Werkzeug would take a later one that is spelt alike."""
    for language in asked:
        for name in (language, language.partition("-")[0]):
            if name in offered:
                return name
    return ENGLISH


def _language() -> _Language | None:
    """That of the request; None where there is none, as in a program."""
    return current_app.extensions["translation"]() if has_request_context() else None


def language() -> str:
    """The language of the request."""
    found = _language()
    return ENGLISH if found is None else found.name


def said(text: str) -> str:
    """A word or sentence in the language of the request, also with its values in it; in English where it is unknown."""
    language = _language()
    return text if language is None else language.say(str(text))


def phrase(text: str, **values: object) -> str:
    """A message with `{names}` for values, in the language of the request."""
    language = _language()
    return fill(text if language is None else language.catalogue.gettext(text), values)


def phrase_of(one: str, many: str, count: int, **values: object) -> str:
    """The same of something that is counted; `{count}` is the number, as it is written there."""
    language = _language()
    text = (
        (one if count == 1 else many) if language is None else language.catalogue.ngettext(one, many, count)
    )
    return fill(text, {"count": written(f"{count:,}"), **values})


def written(number: str) -> str:
    """A number that is written as in English, as it is written in the language of the request."""
    language = _language()
    return number if language is None else language.number(number)


def fill(text: str, values: Mapping[str, object]) -> str:
    """Puts values in. A catalogue that names one which is not there loses nobody a page."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return found[0][0] if name is None else str(values.get(name, found[0]))

    return _PUT_IN.sub(value, text)


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


if __name__ == "__main__":
    sys.stdout.write(template(messages()))
