"""From files to the plan of a dataset: recognise the layout, read it, leave out what has no use, name people, split.

The plan depends on paths, contents and the recipe, never on the order in which files were listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from core.datasets.identities import identity_ids
from core.datasets.layouts import decoder_triples, folders, hq_voxceleb, manifest, original
from core.datasets.layouts.reading import Input, LayoutOptions, Reading, Request
from core.datasets.layouts.source import Files, SourceFile, natural
from core.datasets.layouts.voxceleb import VoxCeleb
from core.datasets.layouts.walking import Gathered, gather
from core.datasets.plan import Entry, LeftOut, Person, Plan
from core.datasets.recipes import Recipe, Split, SplitRecipe
from core.datasets.splits import join_people, split_people
from core.errors import InvalidRequest

AUTO = "auto"
_DEFAULT = LayoutOptions()
_TOLD = 5


@dataclass(frozen=True)
class Settled:
    """What earlier plans of the same growing set of files have settled; a new plan keeps to it.

    Attributes:
        people: id and part of the split, by name.
        keys: of entries that were taken; they go first where only so many are.
    """

    people: Mapping[str, tuple[str, Split]] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()


_NOTHING = Settled()


class Reader(Protocol):
    """What every module of a layout offers."""

    def recognise(self, request: Request) -> str | None:
        """What speaks for this layout, as a few words; None where nothing does."""

    def read(self, request: Request) -> Reading:
        """Everything that lies in the places of this layout."""


_READERS: dict[str, Reader] = {
    "voxceleb1": VoxCeleb(1),
    "voxceleb2": VoxCeleb(2),
    "hq_voxceleb": hq_voxceleb,
    "original": original,
    "decoder_triples": decoder_triples,
    "manifest": manifest,
    "folders": folders,
}
LAYOUTS = (AUTO, *_READERS)


def plan_folder(path: Path, recipe: Recipe, layout: str = AUTO, options: LayoutOptions = _DEFAULT) -> Plan:
    """The plan of what lies in a folder, or of what a manifest (`.csv`, `.tsv`, `.jsonl`) names.

    Raises:
        InvalidRequest: as `plan_files`; also a folder that cannot be read.
    """
    return plan_gathered(gather([path]), recipe, layout, options)


def plan_gathered(
    gathered: Gathered, recipe: Recipe, layout: str = AUTO, options: LayoutOptions = _DEFAULT
) -> Plan:
    """The same for files that were gathered before."""
    if gathered.manifest is not None:
        layout, options = "manifest", replace(options, manifest=gathered.manifest)
    return _plan(gathered.files, recipe, layout, options, gathered.left_out)


def plan_files(
    files: Sequence[SourceFile],
    recipe: Recipe,
    layout: str = AUTO,
    options: LayoutOptions = _DEFAULT,
    settled: Settled = _NOTHING,
) -> Plan:
    """The plan of a dataset of these files.

    Raises:
        InvalidRequest: unsafe paths, an unknown or ambiguous layout, or nothing to prepare.
        InvalidManifest: a table with bad lines; its message names them.
    """
    return _plan(files, recipe, layout, options, (), settled)


def recognise(
    files: Sequence[SourceFile], recipe: Recipe, options: LayoutOptions = _DEFAULT
) -> tuple[str, str]:
    """The layout of these files, and what speaks for it.

    Raises:
        InvalidRequest: several layouts fit; the message says what to pass.
    """
    return _recognise(Request(Files(files), recipe, options))


def _recognise(request: Request) -> tuple[str, str]:
    found = {
        name: because
        for name, reader in _READERS.items()
        if name != "folders" and (because := reader.recognise(request)) is not None
    }
    if "hq_voxceleb" in found:
        # Its audio is what the other two would find; the faces come with it.
        found = {name: because for name, because in found.items() if not name.startswith("voxceleb")}
    if len(found) > 1:
        listed = "; ".join(f"{name} ({because})" for name, because in found.items())
        raise InvalidRequest(f"These files fit several layouts: {listed}. Choose the layout.")
    if found:
        return next(iter(found.items()))
    return "folders", folders.recognise(request) or "one folder for each person"


def _plan(
    files: Sequence[SourceFile],
    recipe: Recipe,
    layout: str,
    options: LayoutOptions,
    unnamed: Sequence[LeftOut],
    settled: Settled = _NOTHING,
) -> Plan:
    usable = [file for file in files if file.refused is None]
    left_out = [*unnamed, *(LeftOut(file.path, *file.refused) for file in files if file.refused)]
    request = Request(Files(usable), recipe, options)
    if layout == AUTO:
        layout, _ = _recognise(request)
    elif layout not in _READERS:
        raise InvalidRequest(f"There is no layout {layout!r}. There are: {', '.join(LAYOUTS)}.")
    reading = _READERS[layout].read(request)
    left_out += reading.left_out + _unused(request, reading)

    inputs = _wanted(request, _once(reading.inputs), left_out)
    if recipe.needs_both:
        inputs = _paired(inputs, left_out)
    inputs = _limited(inputs, recipe, left_out, settled.keys)
    if not inputs:
        raise InvalidRequest(_nothing(request, layout, left_out))
    _check_sent(inputs)

    names = {one.person for one in inputs}
    attributes = {
        name: {what: value for what, value in sorted(reading.attributes.get(name, {}).items()) if value}
        for name in names
    }
    ids = identity_ids(names, {name: identity for name, (identity, _) in settled.people.items()})
    parts = _parts(attributes, reading.splits, recipe.split, settled)
    people = [Person(ids[name], name, parts[name], attributes[name]) for name in names]
    entries = [_entry(one, ids[one.person]) for one in inputs]
    return Plan(
        layout=layout,
        recipe=recipe,
        people=tuple(sorted(people, key=lambda person: natural(person.id))),
        entries=tuple(sorted(entries, key=lambda e: (natural(e.person), e.side != "voice", natural(e.key)))),
        left_out=tuple(sorted(left_out, key=lambda one: (natural(one.key), one.reason))),
    )


def _once(inputs: Sequence[Input]) -> list[Input]:
    """A manifest may name one picture with each of several recordings; it is one input."""
    return list({(one.person, one.file.path): one for one in reversed(inputs)}.values())[::-1]


def _unused(request: Request, reading: Reading) -> list[LeftOut]:
    """The files that no input is made of and that the reader has not spoken about."""
    told = reading.used | {one.key for one in reading.left_out} | {one.file.path for one in reading.inputs}
    told |= {file.path for one in reading.inputs for file in one.companions.values()}
    return [
        LeftOut(file.path, *reading.beside)
        if file.kind is not None
        else LeftOut(file.path, "not_media", "By its name, this is neither a recording nor a picture.")
        for file in request.files
        if file.path not in told
    ]


def _wanted(request: Request, inputs: Sequence[Input], left_out: list[LeftOut]) -> list[Input]:
    wanted = []
    for one in inputs:
        if request.wants(one.side):
            wanted.append(one)
        else:
            what = "voices" if one.side == "voice" else "faces"
            left_out.append(LeftOut(one.file.path, "not_wanted", f"The recipe takes no {what}."))
    return wanted


def _paired(inputs: Sequence[Input], left_out: list[LeftOut]) -> list[Input]:
    sides = defaultdict(set)
    for one in inputs:
        sides[one.person].add(one.side)
    for one in inputs:
        if len(sides[one.person]) == 1:
            missing = "face" if one.side == "voice" else "voice"
            left_out.append(LeftOut(one.file.path, "no_pair", f"There is no {missing} of {one.person!r}."))
    return [one for one in inputs if len(sides[one.person]) == 2]


def _limited(
    inputs: Sequence[Input], recipe: Recipe, left_out: list[LeftOut], before: frozenset[str]
) -> list[Input]:
    most = recipe.voice.max_clips if recipe.voice else None
    if most is None:
        return list(inputs)
    kept: list[Input] = []
    seen: dict[str, int] = defaultdict(int)
    for one in sorted(inputs, key=lambda one: (one.file.path not in before, natural(one.file.path))):
        if one.side == "voice":
            seen[one.person] += 1
            if seen[one.person] > most:
                message = f"{one.person!r} has more than {most} recordings; the first by name are taken."
                left_out.append(LeftOut(one.file.path, "clip_limit", message))
                continue
        kept.append(one)
    return kept


def _nothing(request: Request, layout: str, left_out: Sequence[LeftOut]) -> str:
    """Why there is nothing to prepare, in numbers."""
    kinds = [file.kind for file in request.files]
    seen = (
        f"{len(kinds):,} files, of which {kinds.count('recording'):,} are recordings, "
        f"{kinds.count('picture'):,} pictures and {kinds.count('array'):,} arrays"
    )
    reasons: dict[str, int] = defaultdict(int)
    for one in left_out:
        reasons[one.reason] += 1
    why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items())) or "nothing"
    hint = ""
    if reasons.get("no_pair"):
        hint = (
            " Nobody has both a voice and a face: leave one side out (--face none, --voice none), "
            "or take people with one side as well (--one-sided)."
        )
    elif reasons.get("no_person") or not kinds:
        hint = " Give a folder that holds a folder for each person, or a manifest that names them."
    return f"There is nothing to prepare in layout {layout}: {seen}. Left out: {why}.{hint}"


def _check_sent(inputs: Sequence[Input]) -> None:
    """Either all contents were sent or all lie in a folder."""
    files = [file for one in inputs for file in (one.file, *one.companions.values())]
    missing = [file.path for file in files if file.source is None]
    if missing and len(missing) < len(files):
        some = ", ".join(map(repr, missing[:_TOLD]))
        raise InvalidRequest(f"{len(missing):,} files were not sent but are needed: {some}.")


def _parts(
    people: Mapping[str, Mapping[str, str]],
    given: Mapping[str, Split],
    recipe: SplitRecipe,
    settled: Settled,
) -> dict[str, Split]:
    known = sorted({name for attributes in people.values() for name in attributes})
    for name in recipe.by:
        if name not in known:
            there = f"There are: {', '.join(known)}." if known else "Nothing is known of anybody."
            raise InvalidRequest(f"Nobody has the attribute {name!r} to split by. {there}")
    kept = {name: given[name] for name in people if name in given} if recipe.keep else {}
    before = {name: settled.people[name][1] for name in people if name in settled.people}
    kept |= before
    rest = {name: attributes for name, attributes in people.items() if name not in kept}
    if before:
        return {
            **kept,
            **join_people(rest, [(people[name], split) for name, split in kept.items()], recipe),
        }
    return {**kept, **split_people(rest, recipe)}


def _entry(one: Input, person: str) -> Entry:
    return Entry(
        key=one.file.path,
        person=person,
        side=one.side,
        form=one.file.kind or "recording",
        source=one.file.source,
        companions={what: (file.path, file.source) for what, file in sorted(one.companions.items())},
    )
