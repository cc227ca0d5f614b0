"""Moving an alias, such as `production`, to another model version, and back.

The history of an alias is a stack: promoting puts a version on it, rolling back takes the top off. So rolling back
twice goes further back, not to and fro. Versions that were deleted since are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.errors import Conflict, InvalidRequest, NotFound
from core.ledger.database import now
from core.ledger.tables import Alias, ModelVersion
from core.ledger.training_tables import AliasMove
from core.models.registry import PRODUCTION, hold_registry, input_of
from core.people.audit import record

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z", re.ASCII)
_WORDS = {
    "voice": "draws from voices",
    "face": "draws from pictures of faces",
    None: "draws nothing by itself",
}


def promote(
    session: Session,
    alias: str,
    version: ModelVersion,
    *,
    actor: str,
    reason: str = "",
    force: bool = False,
) -> AliasMove:
    """Points an alias at a version, and makes the alias where there is none of that name.

    Promoting what the alias points at already changes nothing.

    Args:
        actor: id of a user, or of the job that promotes by itself.
        force: even where the alias would draw from another kind of input, or from none, afterwards.

    Raises:
        InvalidRequest: the version was deleted, cannot be what the alias stands for, or the name is no alias'.
    """
    _check_name(session, alias)
    hold_registry(session)
    held = _hold(session, alias, version)
    candidate = session.get(ModelVersion, version.id, populate_existing=True)
    if candidate is None or candidate.deleted_at is not None:
        raise InvalidRequest(f"{version.label} was deleted; it cannot be promoted.")
    drawn_from = input_of(candidate)
    if alias == PRODUCTION and drawn_from is None:
        raise InvalidRequest(
            f"{candidate.label} {_WORDS[None]}, so it cannot be {PRODUCTION}. Pair it first: voicesketch models pair"
        )
    before = session.get(ModelVersion, held.model_version_id)
    assert before is not None
    last = _moves(session, alias)[-1:]
    if before.id == candidate.id and last:
        return last[0]
    if input_of(before) != drawn_from and not force:
        raise InvalidRequest(
            f"{alias} {_WORDS[input_of(before)]}, and {candidate.label} {_WORDS[drawn_from]}: jobs that name the alias "
            "would fail. Promote it with force if that is meant."
        )
    made_now = before.id == candidate.id
    return _move(
        session,
        held,
        None if made_now else before,
        candidate,
        kind="create" if made_now else "promote",
        actor=actor,
        reason=reason,
    )


def rollback(
    session: Session, alias: str, *, actor: str, reason: str = "", expected: ModelVersion | None = None
) -> AliasMove:
    """Points an alias where it pointed before. That was meant once, so another kind of input is no obstacle.

    Args:
        expected: roll back from this version only. Asked twice, it then happens once.

    Raises:
        NotFound: there is no such alias.
        Conflict: it points at another version than expected, or there is nothing left to roll back to.
    """
    hold_registry(session)
    held = _held(session, alias)
    if held is None:
        raise NotFound(f"There is no alias {alias!r}.")
    before = session.get(ModelVersion, held.model_version_id)
    assert before is not None
    if expected is not None and before.id != expected.id:
        last = _moves(session, alias)[-1:]
        if last and last[0].kind == "rollback" and last[0].old_version_id == expected.id:
            return last[0]
        raise Conflict(
            f"{alias} points at {before.label} by now, not at {expected.label}. Nothing was moved."
        )
    target = _version_before(session, alias)
    if target is None:
        raise Conflict(f"{alias} points at {before.label}, and there is nothing left to roll back to.")
    return _move(session, held, before, target, kind="rollback", actor=actor, reason=reason)


def rollback_target(session: Session, alias: str) -> ModelVersion | None:
    """Where rolling back would lead; None where it is refused."""
    return _version_before(session, alias)


def moves_of(
    session: Session, alias: str, *, limit: int = 50, before: int | None = None
) -> Sequence[AliasMove]:
    """Newest first; the id of the last one of a page is the cursor (`before`) of the next."""
    query = select(AliasMove).where(AliasMove.alias == alias).order_by(AliasMove.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AliasMove.id < before)
    return session.scalars(query).all()


def _move(
    session: Session,
    held: Alias,
    before: ModelVersion | None,
    after: ModelVersion,
    *,
    kind: str,
    actor: str,
    reason: str,
) -> AliasMove:
    at = now(session)
    held.model_version_id = after.id
    held.moved_at = at
    move = AliasMove(
        alias=held.name,
        old_version_id=before.id if before is not None else None,
        new_version_id=after.id,
        kind=kind,
        actor=actor,
        reason=reason,
        at=at,
    )
    session.add(move)
    record(
        session,
        actor=actor,
        action="model.rollback" if kind == "rollback" else "model.promote",
        subject=after.label,
        details={
            "alias": held.name,
            "before": before.label if before is not None else None,
            "after": after.label,
            "reason": reason,
        },
    )
    return move


def _check_name(session: Session, alias: str) -> None:
    if not _NAME.match(alias):
        raise InvalidRequest(
            f"{alias!r} is no name for an alias: take up to 80 letters, digits, dots, hyphens and underscores."
        )
    if session.scalar(select(ModelVersion.id).where(ModelVersion.name == alias).limit(1)) is not None:
        raise InvalidRequest(f"{alias!r} is the name of a model. Choose another alias.")


def _hold(session: Session, alias: str, version: ModelVersion) -> Alias:
    """The row of an alias, held until the transaction ends and made where it is missing."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Alias)
        .values(name=alias, model_version_id=version.id, moved_at=now(session))
        .on_conflict_do_nothing()
    )
    held = _held(session, alias)
    assert held is not None
    return held


def _held(session: Session, alias: str) -> Alias | None:
    return session.scalar(
        select(Alias).where(Alias.name == alias).with_for_update().execution_options(populate_existing=True)
    )


def _moves(session: Session, alias: str) -> Sequence[AliasMove]:
    return session.scalars(select(AliasMove).where(AliasMove.alias == alias).order_by(AliasMove.id)).all()


def _version_before(session: Session, alias: str) -> ModelVersion | None:
    stack: list[str] = []
    for move in _moves(session, alias):
        if move.kind == "rollback":
            while stack and stack[-1] != move.new_version_id:
                stack.pop()
        else:
            # An alias from before moves were written down begins with its first move.
            if not stack and move.old_version_id is not None:
                stack.append(move.old_version_id)
            stack.append(move.new_version_id)
    for version_id in reversed(stack[:-1]):
        version = session.get(ModelVersion, version_id)
        if version is not None and version.deleted_at is None and version_id != stack[-1]:
            return version
    return None
