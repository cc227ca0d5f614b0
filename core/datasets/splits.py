"""Dividing people into train, validation and test so that each part has the same mix of them.

A share of a group of seven people is rarely a whole number. Rounding each group by itself adds up to parts that are
off by as many people as there are groups; here all groups are rounded together, so that every group is within one
person of its share in every part, and so is the whole. Nobody is ever in two parts, and neither the order of people
nor the machine decides anything: a seed does.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from fractions import Fraction

from core.datasets.recipes import SPLITS, UNKNOWN, Split, SplitRecipe

OTHER = "other"
AGE_GROUPS = ((18, "0-17"), (30, "18-29"), (45, "30-44"))
OLDEST_GROUP = "45+"
_AGE = re.compile(r"(^|_)age(_|$)")
_COLUMNS = range(len(SPLITS))

Row = list[int]


def is_age(attribute: str) -> bool:
    """Whether an attribute's name speaks of an age, such as `age` or `age_estimated`."""
    return _AGE.search(attribute.lower()) is not None


def age_group(value: str) -> str:
    """The group that an age in years belongs to; what is no number stays as it is."""
    try:
        years = float(value)
    except ValueError:
        return value
    if not math.isfinite(years) or years < 0:
        return UNKNOWN
    return next((group for below, group in AGE_GROUPS if years < below), OLDEST_GROUP)


def label_of(attributes: Mapping[str, str], by: Sequence[str]) -> tuple[str, ...]:
    """The values that decide to which group somebody belongs; what nobody told is a value of its own."""
    values = ((name, attributes.get(name, "").strip()) for name in by)
    return tuple(
        (age_group(value) if is_age(name) else value.casefold()) if value else UNKNOWN
        for name, value in values
    )


def split_people(people: Mapping[str, Mapping[str, str]], recipe: SplitRecipe) -> dict[str, Split]:
    """A part for each person.

    Args:
        people: attributes by name.
        recipe: fractions, attributes and seed; `keep` is the business of whoever has a split to keep.
    """
    shares = _shares(recipe)
    groups = _groups(people, recipe.by, at_least=sum(share > 0 for share in shares))
    labels = sorted(groups)
    counts = _rounded([[len(groups[label]) * share for share in shares] for label in labels])
    parts: dict[str, Split] = {}
    for label, row in zip(labels, counts, strict=True):
        names = iter(sorted(groups[label], key=lambda name: _lot(recipe.seed, name)))
        for column in _COLUMNS:
            parts |= {next(names): SPLITS[column] for _ in range(row[column])}
    return parts


def join_people(
    new: Mapping[str, Mapping[str, str]],
    there: Sequence[tuple[Mapping[str, str], Split]],
    recipe: SplitRecipe,
) -> dict[str, Split]:
    """A part for each of some people who join others, none of whom moves.

    One after the other, in an order that the seed decides, goes where their group and the whole are furthest behind
    their shares. So the shares come true over time, even when people come one by one.

    Args:
        new: attributes by name.
        there: attributes and part of everybody who is there already.
    """
    shares = _shares(recipe)
    whole = [0] * len(SPLITS)
    groups: dict[tuple[str, ...], Row] = defaultdict(lambda: [0] * len(SPLITS))
    for attributes, split in there:
        for counts in (whole, groups[label_of(attributes, recipe.by)]):
            counts[SPLITS.index(split)] += 1
    parts: dict[str, Split] = {}
    for name in sorted(new, key=lambda name: _lot(recipe.seed, name)):
        both = (whole, groups[label_of(new[name], recipe.by)])
        behind = [
            sum(shares[column] * (sum(counts) + 1) - counts[column] for counts in both) for column in _COLUMNS
        ]
        column = behind.index(max(behind))
        for counts in both:
            counts[column] += 1
        parts[name] = SPLITS[column]
    return parts


def _shares(recipe: SplitRecipe) -> list[Fraction]:
    """Exact fractions: 0.8 as a float is a little more than four fifths, and a little is a whole person."""
    given = [Fraction(getattr(recipe, split)).limit_denominator(1_000_000) for split in SPLITS]
    return [share / sum(given) for share in given]


def _groups(
    people: Mapping[str, Mapping[str, str]], by: Sequence[str], *, at_least: int
) -> dict[tuple[str, ...], list[str]]:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, attributes in people.items():
        groups[label_of(attributes, by)].append(name)
    # A group with fewer people than parts cannot be in all of them; together, such groups can.
    rare = [label for label, names in groups.items() if len(names) < at_least]
    if len(rare) > 1:
        groups[OTHER,] = groups.get((OTHER,), []) + [name for label in rare for name in groups.pop(label)]
    return groups


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _rounded(exact: list[list[Fraction]]) -> list[Row]:
    """Whole numbers within one of the exact ones, in every cell, row and column; rows keep their sums.

    Controlled rounding of a table (it always exists). Row after row goes up where the rows so far are furthest
    behind. Then units move between columns, through third columns where they must, until each column is within one
    of its sum, and on to the sums that largest remainder gives for the whole where the cells allow it.
    """
    sums = [sum((row[column] for row in exact), Fraction()) for column in _COLUMNS]
    rows: list[Row] = []
    behind = [Fraction()] * len(SPLITS)
    for cells in exact:
        behind = [late + cell for late, cell in zip(behind, cells, strict=True)]
        rows.append(_raised(cells, behind))
        behind = [late - count for late, count in zip(behind, rows[-1], strict=True)]
    low, high, wanted = list(map(math.floor, sums)), list(map(math.ceil, sums)), _raised(sums, sums)
    # First into the bounds, from above and from below; then towards what is wanted, which lies within them.
    for goal in (high, low, wanted):
        while _move(rows, exact, goal):
            pass
    return rows


def _raised(cells: Sequence[Fraction], urgency: Sequence[Fraction]) -> Row:
    """A row rounded down, and then up again in the most urgent of its broken cells until it has its sum."""
    row = [math.floor(cell) for cell in cells]
    broken = [column for column in _COLUMNS if cells[column] > row[column]]
    broken.sort(key=lambda column: (row[column] - urgency[column], row[column] - cells[column], column))
    for column in broken[: int(sum(cells)) - sum(row)]:
        row[column] += 1
    return row


def _move(rows: list[Row], exact: list[list[Fraction]], goal: Row) -> bool:
    """Moves one unit from a column above its goal to one below it, in one row or through several."""
    have = [sum(row[column] for row in rows) for column in _COLUMNS]
    over = [column for column in _COLUMNS if have[column] > goal[column]]
    came: dict[int, tuple[int, int]] = {}
    waiting = deque(over)
    while waiting:
        here = waiting.popleft()
        for there in _COLUMNS:
            if there in came or there in over:
                continue
            row = next((n for n, row in enumerate(rows) if _may_move(row, exact[n], here, there)), None)
            if row is None:
                continue
            came[there] = (here, row)
            if have[there] < goal[there]:
                while there in came:
                    here, row = came[there]
                    rows[row][here] -= 1
                    rows[row][there] += 1
                    there = here
                return True
            waiting.append(there)
    return False


def _may_move(row: Row, cells: Sequence[Fraction], here: int, there: int) -> bool:
    return row[here] > cells[here] and row[there] < cells[there]
