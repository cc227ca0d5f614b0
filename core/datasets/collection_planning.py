"""The plan of a collection as it is now: grown out of the plan before, with everybody where they have always been."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.datasets.collections import files_of, find_collection
from core.datasets.growing import grow
from core.datasets.layouts import LayoutOptions, Settled, SourceFile, plan_files
from core.datasets.plan import Person, Plan
from core.datasets.recipes import Recipe, VoiceRecipe
from core.datasets.requests import pinned_recipe, sent_file
from core.errors import InvalidRequest, NotFound, Retryable
from core.ledger.database import Database, now
from core.ledger.schedule_tables import CollectionPerson, CollectionPlan
from core.objects import dataset_plan_key
from core.schedules.specs import Source
from core.store import Store

# Two who plan at once may both meet somebody new; whoever comes second plans again with what the first one settled.
_TRIES = 5
_ROWS_AT_ONCE = 500
_COUNTED = Recipe(voice=VoiceRecipe(), both_sides=True)


@dataclass(frozen=True)
class _Now:
    """What is known of a collection before it is planned."""

    id: str
    recipe: Recipe
    files: list[SourceFile]
    people: dict[str, tuple[str, str]]
    plan_sha256: str | None  # of the plan before, made in the same way


class _SettledOtherwise(Exception):
    """Somebody else met the same new people first."""


def plan_collection(database: Database, store: Store, source: Source, recipe: Recipe) -> Plan:
    """Plans everything that a collection has now, and keeps the plan in the store.

    Shards of the plan before, made in the same way, stay as they are. Nobody who was in an earlier plan of the
    collection, made in whatever way, changes between train, validation and test.

    Raises:
        InvalidRequest: no such collection or encoder, a layout that cannot be told, or nothing to prepare.
        StorageUnavailable: try again later.
    """
    for _ in range(_TRIES):
        known = _look(database, store, source, recipe)
        plan = _plan(store, source, known)
        store.put(dataset_plan_key(plan.sha256), plan.to_bytes(), "application/x-ndjson")
        if _settle(database, known, source, plan):
            return plan
    raise Retryable(f"Others plan {source.collection!r} at the same time; this one is tried again.")


def count_pairs(store: Store, files: list[tuple[str, str]], source: Source) -> int:
    """How many people have both a voice and a face, as the readers of layouts see it; nothing is decoded.

    Raises:
        InvalidRequest: the layout cannot be told, or a table cannot be used.
    """
    if not files:
        return 0
    given = [sent_file(store, path, sha256) for path, sha256 in files]
    one_sided = _COUNTED.model_copy(update={"both_sides": False})
    try:
        plan = plan_files(given, one_sided, source.layout, _options(source))
    except InvalidRequest as error:
        if "nothing to prepare" in error.message:
            return 0
        raise
    sides: dict[str, set[str]] = defaultdict(set)
    for entry in plan.entries:
        sides[entry.person].add(entry.side)
    return sum(len(both) == 2 for both in sides.values())


def _look(database: Database, store: Store, source: Source, recipe: Recipe) -> _Now:
    with database.read() as session:
        collection = find_collection(session, source.collection)
        if collection is None:
            raise InvalidRequest(f"There is no collection {source.collection!r}.")
        recipe = pinned_recipe(session, recipe)
        people = session.execute(
            select(CollectionPerson.name, CollectionPerson.identity, CollectionPerson.split).where(
                CollectionPerson.collection_id == collection.id
            )
        )
        return _Now(
            id=collection.id,
            recipe=recipe,
            files=[sent_file(store, path, sha256) for path, sha256 in files_of(session, collection.id)],
            people={name: (identity, split) for name, identity, split in people},
            plan_sha256=session.scalar(
                select(CollectionPlan.plan_sha256).where(
                    CollectionPlan.collection_id == collection.id,
                    CollectionPlan.way_sha256 == _way(source, recipe),
                )
            ),
        )


def _plan(store: Store, source: Source, known: _Now) -> Plan:
    earlier = _earlier(store, known.plan_sha256)
    keys = frozenset(entry.key for entry in earlier.entries) if earlier else frozenset()
    # A table that is added later must not turn folders of people into something else.
    layout = earlier.layout if earlier else source.layout
    settled = Settled(known.people, keys)  # type: ignore[arg-type]  # parts of the split, as the ledger keeps them
    fresh = plan_files(known.files, known.recipe, layout, _options(source), settled)
    return grow(earlier, fresh) if earlier else fresh


def _earlier(store: Store, plan_sha256: str | None) -> Plan | None:
    if plan_sha256 is None:
        return None
    try:
        return Plan.from_bytes(store.get(dataset_plan_key(plan_sha256)))
    except (NotFound, ValueError):
        return None  # it costs shards that are made again, and no more


def _settle(database: Database, known: _Now, source: Source, plan: Plan) -> bool:
    """Remembers who is who and where; false where somebody else settled it otherwise in the meantime."""
    try:
        _remember(database, known, source, plan)
    except _SettledOtherwise:
        return False
    return True


def _remember(database: Database, known: _Now, source: Source, plan: Plan) -> None:
    with database.write() as session:
        new = [person for person in plan.people if person.name not in known.people]
        for start in range(0, len(new), _ROWS_AT_ONCE):
            some = new[start : start + _ROWS_AT_ONCE]
            if not _enter_people(session, known.id, some):
                raise _SettledOtherwise()  # nothing of this is kept
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        entered = insert(CollectionPlan).values(
            collection_id=known.id,
            way_sha256=_way(source, known.recipe),
            plan_sha256=plan.sha256,
            made_at=now(session),
        )
        session.execute(
            entered.on_conflict_do_update(
                index_elements=["collection_id", "way_sha256"],
                set_={"plan_sha256": entered.excluded.plan_sha256, "made_at": entered.excluded.made_at},
            )
        )


def _enter_people(session: Session, collection_id: str, people: list[Person]) -> bool:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    rows = [
        {
            "collection_id": collection_id,
            "name": person.name,
            "identity": person.id,
            "split": person.split,
        }
        for person in people
    ]
    session.execute(insert(CollectionPerson).values(rows).on_conflict_do_nothing())
    settled = session.execute(
        select(CollectionPerson.name, CollectionPerson.identity, CollectionPerson.split).where(
            CollectionPerson.collection_id == collection_id,
            CollectionPerson.name.in_([person.name for person in people]),
        )
    )
    return {tuple(row) for row in settled} == {(person.name, person.id, person.split) for person in people}


def _way(source: Source, recipe: Recipe) -> str:
    """Names a way to prepare a collection: plans grow out of those that were made in the same one."""
    way = {
        "source": source.model_dump(mode="json", exclude={"collection"}),
        "recipe": recipe.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(way, sort_keys=True).encode()).hexdigest()


def _options(source: Source) -> LayoutOptions:
    return LayoutOptions(columns=source.columns, faces=source.faces, manifest=source.manifest)
