"""Everything on pages that can be translated, and where it stands: templates, scripts, tables of words, sentences.

What Python puts together is written in English where it arises, often in `core`, which knows no page; many of it is
kept in the ledger. A page shows it in another language by recognising it (`dashboard.recognising`), so here it is
enough to find the sentences: a value that is put in becomes `{name}`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment
from pydantic import BaseModel

from core.training.presets import PRESETS
from core.training.specs import AfterTraining, AnalyseSpec, EvaluateSpec
from dashboard.navigation import link_words
from dashboard.schedule_words import DAY_AND_MONTH_WORDS
from dashboard.spec_form import FormGroup, form_of

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
SCRIPTS = _HERE / "static" / "js"
# How a number is written, as a message: the sign of thousands and the decimal sign stand in it.
NUMBER = "1,234.5"
# Modules whose dictionaries hold nothing but words for people.
_WORDS = (
    "dashboard/words.py",
    "dashboard/training_words.py",
    "dashboard/schedule_words.py",
    "dashboard/operating_words.py",
    "core/models/metric_words.py",
    "core/schedules/states.py",
)
# Modules in which whatever reads like a sentence or a heading is shown on a page.
_SENTENCES = (
    "core/schedules/advancing.py",
    "core/costs.py",
    "core/schedules/cron.py",
    "core/estimates.py",
    "core/schedules/firing.py",
    "core/models/gate.py",
    "core/datasets/layouts/*.py",
    "core/datasets/preparing.py",
    "core/incoming/manifest.py",
    "core/watching/health.py",
    "core/models/metric_words.py",
    "core/people/quotas.py",
    "core/schedules/queries.py",
    "core/schedules/runs.py",
    "core/schedules/steering.py",
    "core/slips.py",
    "core/training/parts.py",
    "core/training/presets.py",
    "core/training/queries.py",
    "core/training/requests.py",
    "core/training/specs.py",
    "dashboard/dataset_reports.py",
    "dashboard/job_reports.py",
    "dashboard/model_report.py",
    "dashboard/pages/account.py",
    "dashboard/pages/people.py",
    "dashboard/pages/retention.py",
    "dashboard/pages/sign_in.py",
    "dashboard/permissions.py",
    "dashboard/problems.py",
    "worker/evaluation/*.py",
)
_ERRORS = ("core", "dashboard", "worker")
_FAMILY = frozenset(
    {
        "VoicesketchError",
        "MediaError",
        "BadRequest",
        "Forbidden",
        "NotFound",
        "Unauthorized",
        "TooManyRequests",
    }
)
_SENTENCE = re.compile(r"^[A-Z“{].*\w\W{1,2}\w|^[A-Z][a-z]{2,}$|[a-z]{2} [a-z]{2}", re.DOTALL)
_LITERAL = r'"((?:[^"\\\n]|\\.)*)"'
_IN_SCRIPT = re.compile(rf"(?<![\w.$])(?:t\(\s*{_LITERAL}|tn\(\s*{_LITERAL}\s*,\s*{_LITERAL})")


@dataclass(frozen=True)
class Message:
    """Something to be translated: where it stands, and its plural where it counts something."""

    text: str
    plural: str | None
    place: str


def prepare(environment: Environment) -> None:
    """Makes an environment read `{% trans %}`, whose line breaks and indents are no part of a message."""
    environment.add_extension("jinja2.ext.i18n")
    # As it is rendered: otherwise a percent sign would be one in the one place and two in the other.
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    environment.policies["ext.i18n.trimmed"] = True


def messages(templates: Path = _HERE / "templates") -> Iterator[Message]:
    """Everything that can be translated."""
    yield from _of_templates(templates)
    yield from of_scripts()
    yield from (Message(words, None, "dashboard/navigation.py") for words in link_words())
    for name in _WORDS:
        for table in (node for node in ast.walk(_tree(name)) if isinstance(node, ast.Dict)):
            for text, line in _texts(table.values):
                yield Message(text, None, f"{name}:{line}")
    for name in DAY_AND_MONTH_WORDS:
        yield Message(name, None, "dashboard/schedule_words.py")
    yield Message(NUMBER, None, "dashboard/message_sources.py")
    yield from _of_settings()
    for pattern in _SENTENCES:
        for path in sorted(_ROOT.glob(pattern)):
            name = path.relative_to(_ROOT).as_posix()
            for text, line in _sentences(_tree(name)):
                yield Message(text, None, f"{name}:{line}")
    yield from _of_python()


def of_scripts(folder: Path = SCRIPTS) -> Iterator[Message]:
    """What scripts say by `t` and `tn`."""
    for path in sorted(folder.glob("*.js")):
        source = path.read_text("utf-8")
        for found in _IN_SCRIPT.finditer(source):
            place = f"dashboard/static/js/{path.name}:{source.count(chr(10), 0, found.start()) + 1}"
            text, *plural = (json.loads(f'"{one}"') for one in found.groups() if one is not None)
            yield Message(text, plural[0] if plural else None, place)


def _of_templates(templates: Path) -> Iterator[Message]:
    # It only reads templates and never renders one.
    environment = Environment(trim_blocks=True, lstrip_blocks=True, autoescape=True)
    prepare(environment)
    for path in sorted(templates.rglob("*.html")):
        place = path.relative_to(_ROOT) if path.is_relative_to(_HERE) else path
        found = environment.extract_translations(path.read_text("utf-8"))  # type: ignore[attr-defined]
        for line, function, texts in found:
            # What is no plain string, such as the number of a plural, is None.
            text, plural, *_ = (*texts, None) if isinstance(texts, tuple) else (texts, None)
            if text:
                yield Message(text, plural if function == "ngettext" else None, f"{place}:{line}")


def _of_settings() -> Iterator[Message]:
    """The names of settings in forms, which are made of the names of fields."""
    specs: list[BaseModel] = [part for one in PRESETS.values() for part in (one.recipe, one.machine)]
    specs += [EvaluateSpec(model="-", dataset="-"), AnalyseSpec(model="-", dataset="-"), AfterTraining()]
    names: dict[str, str] = {}
    for spec in specs:
        for path, words in _labels(form_of(spec)):
            names.setdefault(words, path)
    for words, path in names.items():
        yield Message(words, None, f"core/training/specs.py ({path})")


def _labels(group: FormGroup) -> Iterator[tuple[str, str]]:
    if group.title:
        yield group.path, group.title
    for field in group.fields:
        yield field.path, field.label
        for value in field.choices:
            words = value.replace("_", " ")
            yield from ((field.path, words), (field.path, words[:1].upper() + words[1:]))
    for inner in group.groups:
        yield from _labels(inner)


def _of_python() -> Iterator[Message]:
    """What errors say, and what is said by `phrase` and `phrase_of`."""
    trees = {
        path.relative_to(_ROOT).as_posix(): _tree(path.relative_to(_ROOT).as_posix())
        for folder in _ERRORS
        for path in sorted((_ROOT / folder).rglob("*.py"))
    }
    family = _errors(trees.values())
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in family:
                # An error that says nothing of its own says what its kind is.
                if (said := ast.get_docstring(node)) and "\n" not in said:
                    yield Message(said, None, f"{name}:{node.lineno}")
                continue
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            texts = [_text(one) for one in node.args]
            place = f"{name}:{node.lineno}"
            if node.func.id in family:
                yield from (Message(text, None, place) for text in texts if text and " " in text)
            elif node.func.id == "phrase" and texts and texts[0]:
                yield Message(texts[0], None, place)
            elif node.func.id == "phrase_of" and len(texts) > 1 and texts[0]:
                yield Message(texts[0], texts[1], place)


def _errors(trees: Iterable[ast.Module]) -> set[str]:
    """The names of all kinds of errors that people may be shown."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    family = set(_FAMILY)
    while more := {name for name, over in bases.items() if over & family} - family:
        family |= more
    return family


def template(found: Iterator[Message]) -> str:
    """The messages as a POT file, each once, with all the places where it stands."""
    places: dict[tuple[str, str | None], list[str]] = {}
    for message in found:
        where = places.setdefault((message.text, message.plural), [])
        if message.place not in where:
            where.append(message.place)
    entries = []
    for (text, plural), where in places.items():
        lines = [f"#: {' '.join(where)}", f"msgid {_quoted(text)}"]
        lines += (
            [f"msgid_plural {_quoted(plural)}", 'msgstr[0] ""', 'msgstr[1] ""'] if plural else ['msgstr ""']
        )
        entries.append("\n".join(lines))
    return "\n\n".join([_HEADER, *entries]) + "\n"


_HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse((_ROOT / name).read_text("utf-8"))


def _texts(values: list[ast.expr]) -> Iterator[tuple[str, int]]:
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value, value.lineno
        elif isinstance(value, ast.Tuple):
            yield from _texts(value.elts)


def _sentences(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Strings that read as if people were meant, but for docstrings and parts of other strings."""
    aside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            aside |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in aside or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text = _text(node)
        if text and "\n" not in text and "  " not in text and _SENTENCE.search(text):
            yield text, node.lineno


def _text(node: ast.expr) -> str | None:
    """A string as a message: values that are put into it are `{name}`. None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None or right is None else left + right
    if not isinstance(node, ast.JoinedStr):
        return None
    text, taken = "", set[str]()
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value).replace("{", "{{").replace("}", "}}")
        elif isinstance(part, ast.FormattedValue):
            name = _name(part.value, taken)
            taken.add(name)
            text += f"{{{name}}}"
    return text


def _name(value: ast.expr, taken: set[str]) -> str:
    """What to call a value in a message: as the code does, where it has a name there."""
    plain = {ast.Name: "id", ast.Attribute: "attr"}.get(type(value))
    name = getattr(value, plain).strip("_") if plain else "value"
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}{number}"
    return str(chosen)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
