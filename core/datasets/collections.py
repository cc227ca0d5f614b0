"""Collections: named sets of files that only grow. What retrainings prepare their datasets from.

A file of a collection is a path and a content that was sent as recordings are. Neither ever changes, so whatever was
prepared of a collection stays good when more is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.datasets.layouts import why_unsafe
from core.errors import Conflict, InvalidRequest, NotFound
from core.identifiers import new_id
from core.ledger.database import now
from core.ledger.schedule_tables import Collection, CollectionFile
from core.ledger.tables import RecordingOwner, User
from core.people.accounts import Role

_ROWS_AT_ONCE = 500
_TOLD = 5
_SEES_ALL = {Role.OPERATOR.value, Role.ADMIN.value, Role.VIEWER.value}


@dataclass(frozen=True)
class Added:
    """What came of adding files: how many are new, and how many were there already."""

    new: int
    known: int


def get_collection(session: Session, viewer: User, name: str) -> Collection:
    """The collection of that name.

    Raises:
        NotFound: there is none, or it is somebody else's; the answer does not tell which.
    """
    collection = find_collection(session, name)
    if collection is None or not (viewer.role in _SEES_ALL or collection.owner_id == viewer.id):
        raise NotFound(f"There is no collection {name!r}.")
    return collection


def find_collection(session: Session, name: str) -> Collection | None:
    return session.scalar(select(Collection).where(Collection.name == name))


def list_collections(session: Session, viewer: User) -> list[tuple[Collection, int]]:
    """Those somebody may see, by name, with the number of files in each."""
    files = func.count(CollectionFile.id)
    query = (
        select(Collection, files)
        .outerjoin(CollectionFile, CollectionFile.collection_id == Collection.id)
        .group_by(Collection.id)
        .order_by(Collection.name)
    )
    if viewer.role not in _SEES_ALL:
        query = query.where(Collection.owner_id == viewer.id)
    return [(collection, count) for collection, count in session.execute(query)]


def ensure_collection(session: Session, user: User, name: str, *, may_change_all: bool = False) -> Collection:
    """The collection of that name, made where there is none.

    Args:
        may_change_all: whether the user may add to what is somebody else's, too.

    Raises:
        InvalidRequest: it is somebody else's.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Collection)
        .values(id=new_id("collection"), name=name, owner_id=user.id, created_at=now(session))
        .on_conflict_do_nothing()
    )
    collection = find_collection(session, name)
    assert collection is not None
    if collection.owner_id != user.id and not may_change_all:
        raise InvalidRequest(f"There is a collection {name!r} of somebody else: choose another name.")
    return collection


def add_files(session: Session, user: User, collection: Collection, files: Mapping[str, str]) -> Added:
    """Adds files by path, each with the SHA-256 of its content; those that are there already are left alone.

    Raises:
        InvalidRequest: paths that leave the folder, or contents that this user never sent.
        Conflict: paths that are there with other contents; nothing is added.
    """
    wrong = [f"{path[:200]!r} ({why})" for path in files if (why := why_unsafe(path))]
    if wrong:
        raise InvalidRequest(f"These are no paths inside a folder: {_some(wrong)}.")
    _check_owned(session, user, files)
    before = _contents(session, collection.id, list(files))
    _check_unchanged(files, before)
    at = now(session)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = [path for path in files if path not in before]
    for some in _batches(new):
        rows = [
            {"collection_id": collection.id, "path": path, "sha256": files[path], "added_at": at}
            for path in some
        ]
        session.execute(insert(CollectionFile).values(rows).on_conflict_do_nothing())
    # Somebody else may have added the same path a moment ago.
    _check_unchanged(files, _contents(session, collection.id, new))
    return Added(new=len(new), known=len(files) - len(new))


def files_of(session: Session, collection_id: str) -> Iterator[tuple[str, str]]:
    """Path and content of every file, in the order they came."""
    query = (
        select(CollectionFile.path, CollectionFile.sha256)
        .where(CollectionFile.collection_id == collection_id)
        .order_by(CollectionFile.id)
    )
    return ((path, sha256) for path, sha256 in session.execute(query))


def count_files(session: Session, collection_id: str) -> int:
    """How many there are. Files never go, so an equal number means that nothing was added."""
    query = select(func.count()).where(CollectionFile.collection_id == collection_id)
    return session.scalar(query) or 0


def _check_owned(session: Session, user: User, files: Mapping[str, str]) -> None:
    owned: set[str] = set()
    for some in _batches(sorted(set(files.values()))):
        query = select(RecordingOwner.sha256).where(
            RecordingOwner.owner_id == user.id, RecordingOwner.sha256.in_(some)
        )
        owned.update(session.scalars(query))
    missing = [repr(path[:200]) for path, sha256 in files.items() if sha256 not in owned]
    if missing:
        raise InvalidRequest(f"The contents of {len(missing):,} files were never sent: {_some(missing)}.")


def _contents(session: Session, collection_id: str, paths: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in _batches(paths):
        query = select(CollectionFile.path, CollectionFile.sha256).where(
            CollectionFile.collection_id == collection_id, CollectionFile.path.in_(some)
        )
        found.update((path, sha256) for path, sha256 in session.execute(query))
    return found


def _check_unchanged(files: Mapping[str, str], there: Mapping[str, str]) -> None:
    changed = [repr(path[:200]) for path, sha256 in there.items() if files[path] != sha256]
    if changed:
        raise Conflict(
            f"{len(changed):,} files are there with other contents, and what is in a collection never changes: "
            f"{_some(changed)}. Give them other names."
        )


def _batches(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _ROWS_AT_ONCE] for start in range(0, len(values), _ROWS_AT_ONCE))


def _some(words: Sequence[str]) -> str:
    more = f", and {len(words) - _TOLD:,} more" if len(words) > _TOLD else ""
    return ", ".join(words[:_TOLD]) + more
