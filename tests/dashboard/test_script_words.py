"""What scripts write can be said in another language: nothing is left unmarked, and plurals go by its rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from gettext import NullTranslations, translation
from pathlib import Path
from typing import Any

import pytest

from core.people.accounts import Role
from dashboard.message_sources import SCRIPTS, of_scripts
from dashboard.script_words import script_of
from dashboard.translation import register_translation
from tests.catalogues import write_catalogue
from tests.dashboard.conftest import Place

# Before a slash, these mean that an expression begins, so that the slash begins a pattern.
_BEFORE_PATTERN = re.compile(r"(?:^|[(,=:\[!&|?{};+]|\breturn)\s*$")
_MARKED = re.compile(r"(?<![\w.$])(?:t\(|tn\((?:\s*\"(?:[^\"\\]|\\.)*\"\s*,)?)\s*$")
_SENTENCE = re.compile(r"^[A-Z][a-z]+[.…]?$|[a-z]{2,}\W{1,3}[a-z]{2,}.* |[A-Z]?[a-z]{2,} [a-z]{2,}")
# What browsers are told: keys, names of errors and headers, markup, fonts, selectors.
_NO_WORDS = re.compile(
    r"^(Escape|Enter|Arrow\w+|Page(Up|Down)|Home|End|AbortError)$|^[A-Z]\w+(-[A-Z]\w+)+$|"
    r"^<|</|/>|px system-ui|^[#.:(\[]|^\w+[\[:]\w|^voicesketch |^x\w+ slice$"
)
_FOR_PROGRAMS = re.compile(
    r"(\bclassName\s*=[^;]*|===|!==|\bmake\(\"\w+\",|"
    r"\b(querySelector(All)?|closest|matches|byId|getElementById|value|createElement)\()\s*$"
)
_FOR_EYES = re.compile(
    r"(\.(textContent|title|alt|placeholder|ariaLabel)\s*=(?!=)|\"aria-(label|valuetext|roledescription)\",|"
    r"\b(toast|confirm|note|tell|Error|CannotSend|Unreadable|button)\()[^;{}]*$"
)
_CODE = re.compile(r"^[a-z]+(_[a-z]+)+$|^[a-z]+-[a-z-]+$")


def literals(source: str) -> Iterator[tuple[str, str]]:
    """Every string of a script, and each part of a template literal, with the code before it."""
    at, end, depth = 0, len(source), list[int]()
    code, begun = "", 0
    while at < end:
        two, sign = source[at : at + 2], source[at]
        if two == "//":
            at = source.find("\n", at) % (end + 1)
        elif two == "/*":
            at = source.index("*/", at) + 2
        elif sign == "/" and _BEFORE_PATTERN.search(code):
            found = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*").match(source, at)
            assert found is not None, source[at : at + 40]
            at, code = found.end(), code + "0"
        elif sign in "\"'":
            found = re.compile(rf"{sign}((?:[^{sign}\\\n]|\\.)*){sign}").match(source, at)
            assert found is not None, source[at : at + 40]
            yield found[1], code
            at, code = found.end(), code + found[0]
        elif sign == "`" or (sign == "}" and depth and depth[-1] == begun):
            if sign == "}":
                depth.pop()
                begun -= 1
            found = re.compile(r"((?:[^`$\\]|\\.|\$(?!\{))*)(`|\$\{)", re.DOTALL).match(source, at + 1)
            assert found is not None, source[at : at + 40]
            yield found[1], code
            at = found.end()
            if found[2] == "${":
                begun += 1
                depth.append(begun)
        else:
            begun += {"{": 1, "}": -1}.get(sign, 0)
            at, code = at + 1, code + sign


def test_the_reader_of_scripts_sees_strings_templates_and_patterns() -> None:
    source = (
        'a = /"[/]`/.test(b) ? "x\\"y" : `one ${c ? `two ${d}` : "three"} four`; // "no"\n/* "no" */ f(\'z\')'
    )
    assert [text for text, _ in literals(source)] == ['x\\"y', "one ", "two ", "", "three", " four", "z"]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.js")), ids=lambda path: path.name)
def test_no_words_of_a_script_are_unmarked(path: Path) -> None:
    for text, before in literals(path.read_text("utf-8")):
        if _MARKED.search(before) or _NO_WORDS.search(text) or _FOR_PROGRAMS.search(before):
            continue
        assert not _SENTENCE.search(text), text
        if _FOR_EYES.search(before):
            assert not re.search(r"[A-Za-z]{2}", text) or _CODE.search(text), text


def test_every_marked_message_of_a_script_is_found() -> None:
    found = [*of_scripts()]
    for path in SCRIPTS.glob("*.js"):
        source = re.sub(r"//.*|export function tn?\(", "", path.read_text("utf-8"))
        marks = len(re.findall(r"(?<![\w.$])tn?\(", source))
        assert marks == sum(f"/{path.name}:" in message.place for message in found), path.name
    for message in found:
        names = set(re.findall(r"\{(\w+)\}", message.text))
        assert message.plural is None or set(re.findall(r"\{(\w+)\}", message.plural)) == names, message
    assert {"{count} file", "Choose a folder.", "Favourite"} <= {message.text for message in found}


def _words(catalogue: NullTranslations) -> dict[str, Any]:
    script = script_of(catalogue)
    found = re.fullmatch(r"globalThis\.voicesketchWords = (\{.*\});\n", script)
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def test_a_counted_message_has_as_many_forms_as_its_language(tmp_path: Path) -> None:
    polish = "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);"
    said = {
        "{count} file\0{count} files": "{count} plik\0{count} pliki\0{count} plików",
        "Favourite": "Ulubione",
    }
    write_catalogue(tmp_path, "pl", said, polish)
    told = _words(translation("dashboard", tmp_path, ["pl"]))
    assert told["words"]["Favourite"] == "Ulubione"
    assert "Choose a folder." not in told["words"]  # stays as the script has it

    def form(count: int) -> str:
        place = int(told["forms"][count if count < 200 else 100 + count % 100])
        return str(told["words"]["{count} file"][place])

    for count, word in (
        (1, "plik"),
        (2, "pliki"),
        (5, "plików"),
        (12, "plików"),
        (22, "pliki"),
        (1004, "pliki"),
    ):
        assert form(count) == f"{{count}} {word}", count
    # What the catalogue lacks goes by the rule of English all the same.
    assert [told["words"]["{count} picture"][int(told["forms"][n])] for n in (1, 2, 21)] == [
        "{count} picture",
        "{count} pictures",
        "{count} pictures",
    ]


def test_a_page_fetches_the_words_of_its_scripts_once_and_in_english_none(
    sqlite_place: Place, tmp_path: Path
) -> None:
    write_catalogue(tmp_path, "de", {"Favourite": "Liebling"})
    register_translation(sqlite_place.app, tmp_path)
    browser = sqlite_place.browser("ada", Role.ADMIN)
    assert "/static/words/" not in browser.get("/jobs").text
    page = browser.get("/jobs", headers={"Accept-Language": "de"}).text
    address = re.search(r'src="(/static/words/de\.js\?v=\w{12})" defer', page)
    assert address is not None
    assert page.index(address[0]) < page.index("js/base.js")
    answer = sqlite_place.app.test_client().get(address[1])  # the page to sign in has scripts, too
    assert "Liebling" in answer.text
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    for other in ("en", "fr", "..%2fde"):
        assert browser.get(f"/static/words/{other}.js").status_code == 404
