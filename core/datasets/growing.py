"""A plan that grows out of an earlier one: what was there stays in its shards, what is new comes in new ones.

Cutting a larger set of files afresh would move nearly every input into another shard, and every shard would be made
again. Grown, only new shards are; the others are the very same files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.datasets.plan import Entry, Plan
from core.datasets.recipes import SPLITS, Split


def grow(earlier: Plan, fresh: Plan) -> Plan:
    """The plan of what `fresh` has, cut so that shards of `earlier` stay as they are wherever their inputs do.

    Args:
        earlier: of the same collection, by the same recipe.
        fresh: of everything that is there now, with people as `earlier` settled them.
    """
    waiting = {entry.key: entry for entry in fresh.entries}
    split_of = {person.id: person.split for person in fresh.people}
    shards: list[tuple[Split, list[Entry]]] = []
    for shard in earlier.shards():
        # An entry may have got a companion since, or be gone; then its shard alone is made again.
        kept = [
            waiting.pop(entry.key)
            for entry in shard.entries
            if entry.key in waiting and split_of[waiting[entry.key].person] == shard.split
        ]
        if kept:
            shards.append((shard.split, kept))
    for split in SPLITS:
        new = [entry for entry in waiting.values() if split_of[entry.person] == split]
        shards += [(split, part) for part in _runs(new, fresh.recipe.shard_entries)]
    entries = tuple(entry for _, part in shards for entry in part)
    if [(shard.split, list(shard.entries)) for shard in fresh.shards()] == shards:
        return fresh  # it falls into the same shards by itself
    return replace(fresh, entries=entries, sizes=tuple(len(part) for _, part in shards))


def _runs(entries: list[Entry], length: int) -> Iterable[list[Entry]]:
    return (entries[start : start + length] for start in range(0, len(entries), length))
