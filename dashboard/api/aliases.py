"""Aliases: what they point at, moving them, and who moved them before; and the audit of all such changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flask import Response
from sqlalchemy.orm import Session

from core.ledger.training_tables import AliasMove
from core.models.promotion import moves_of, promote, rollback
from core.models.queries import actor_names, labels_of, list_aliases
from core.models.registry import input_of
from core.people.audit import list_entries
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.models import find_model
from dashboard.api.registry_schemas import (
    AliasList,
    AliasPath,
    AliasView,
    AuditEntryView,
    AuditPage,
    AuditQuery,
    MovePage,
    MovesQuery,
    MoveView,
    Promotion,
    Rollback,
)
from dashboard.api.schemas import ModelPath, Problem
from dashboard.identity import viewer
from dashboard.permissions import require_audit, require_operator
from dashboard.services import services

api = api_blueprint("aliases", "What names such as production point at, and who changed what.")


@api.get("/aliases", responses={200: AliasList})
def index() -> Response:
    """Every alias, and where rolling it back would lead."""
    with services().database.read() as session:
        data = [
            AliasView(
                alias=row.alias.name,
                model=row.version.label,
                input=input_of(row.version),
                moved_at=row.alias.moved_at,
                rolls_back_to=row.back.label if row.back is not None else None,
            )
            for row in list_aliases(session)
        ]
    return answer(AliasList(data=data))


@api.post("/models/<label>/promote", responses={200: MoveView})
def promote_model(path: ModelPath, body: Promotion) -> Response:
    """Point an alias at a version, and make the alias where there is none; for operators.

    Promoting what it points at already changes nothing.
    """
    user = viewer()
    require_operator(user)
    with services().database.write() as session:
        version = find_model(session, path.label)
        move = promote(session, body.alias, version, actor=user.id, reason=body.reason, force=body.force)
        session.flush()
        view = move_views(session, [move])[0]
    return answer(view)


@api.post("/aliases/<alias>/rollback", responses={200: MoveView, 409: Problem})
def roll_back(path: AliasPath, body: Rollback) -> Response:
    """Point an alias where it pointed before; for operators. Twice goes further back."""
    user = viewer()
    require_operator(user)
    with services().database.write() as session:
        expected = find_model(session, body.version) if body.version is not None else None
        move = rollback(session, path.alias, actor=user.id, reason=body.reason, expected=expected)
        session.flush()
        view = move_views(session, [move])[0]
    return answer(view)


@api.get("/aliases/<alias>/moves", responses={200: MovePage})
def moves(path: AliasPath, query: MovesQuery) -> Response:
    """The moves of an alias, newest first."""
    with services().database.read() as session:
        found = moves_of(session, path.alias, limit=query.limit + 1, before=query.before)
        shown = found[: query.limit]
        body = MovePage(
            data=move_views(session, shown), next=shown[-1].id if len(found) > query.limit else None
        )
    return answer(body)


@api.get("/audit", responses={200: AuditPage})
def audit(query: AuditQuery) -> Response:
    """Who changed something that others rely on, newest first; for operators."""
    require_audit(viewer())
    with services().database.read() as session:
        found = list_entries(session, limit=query.limit + 1, before=query.before, subject=query.subject)
        shown = found[: query.limit]
        names = actor_names(session, (entry.actor for entry in shown))
        data = [
            AuditEntryView(
                id=entry.id,
                actor=entry.actor,
                actor_name=names[entry.actor],
                action=entry.action,
                subject=entry.subject,
                details=entry.details,
                at=entry.at,
            )
            for entry in shown
        ]
    return answer(AuditPage(data=data, next=shown[-1].id if len(found) > query.limit else None))


def move_views(session: Session, moves: Sequence[AliasMove]) -> list[MoveView]:
    """Moves with the names of those who made them and the labels of what they moved between."""
    labels = labels_of(session, (one for move in moves for one in (move.old_version_id, move.new_version_id)))
    names = actor_names(session, (move.actor for move in moves))
    return [
        MoveView(
            id=move.id,
            alias=move.alias,
            kind=cast("Any", move.kind),
            before=labels[move.old_version_id] if move.old_version_id is not None else None,
            after=labels[move.new_version_id],
            actor=move.actor,
            actor_name=names[move.actor],
            reason=move.reason,
            at=move.at,
        )
        for move in moves
    ]
