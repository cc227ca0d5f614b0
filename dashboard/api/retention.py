"""How long things are kept, what would go now, and deleting what somebody gave us."""

from __future__ import annotations

from datetime import datetime

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidRequest
from core.keeping.erasure import Erased, erase, find_user, preview_erasure
from core.keeping.purging import purge
from core.keeping.retention import preview
from core.keeping.rules import MOST_DAYS, Kept, list_rules, remove_rule, set_rule
from core.ledger.retention_tables import RetentionRule
from core.ledger.tables import User
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Problem
from dashboard.identity import viewer
from dashboard.permissions import require_admin, require_operations, require_submitter
from dashboard.security import forget_copies
from dashboard.services import services

api = api_blueprint("retention", "How long things are kept, and deleting somebody's data.")

# A request does as much as fits in it; whoever wants more asks again.
SECONDS = 15.0


class RuleView(BaseModel):
    kind: Kept
    scope: str = Field(
        description="Empty for all jobs, `name=value` for those with that label, or a job's id."
    )
    days: int | None = Field(description="Days after the end of a job; null keeps things for good.")
    changed_by: str = Field(description="A user's id.")
    changed_at: datetime


class RuleList(BaseModel):
    data: list[RuleView]
    next: str | None = None


class RuleWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scope: str = Field("", max_length=600, description="As in the list of rules; empty for all jobs.")
    days: int | None = Field(None, ge=1, le=MOST_DAYS, description="Null keeps things for good.")


class KindPath(BaseModel):
    kind: Kept


class ScopeQuery(BaseModel):
    scope: str = Field("", max_length=600)


class GoingView(BaseModel):
    kind: Kept
    jobs: list[str] = Field(description="Ids of the first 100 jobs that are due and have something of it.")
    job_count: int
    count: int = Field(description="Of faces, recordings, files, or lines that go.")
    bytes: int
    shared: int = Field(description="Of these jobs, too, but kept, since others need them.")
    finished: bool = Field(description="False where there was more to count than fits in a request.")


class GoingList(BaseModel):
    data: list[GoingView]
    next: str | None = None


class PurgedView(BaseModel):
    counts: dict[str, int] = Field(description="By kind.")
    bytes: dict[str, int] = Field(description="By kind.")
    finished: bool = Field(description="False where there was more to do than fits in a request: ask again.")


class ErasureWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: str | None = Field(None, max_length=120, description="Name or id; yourself when left out.")
    dry_run: bool = Field(True, description="Tell what would go, and change nothing.")
    confirm: str | None = Field(None, max_length=120, description="The user's name, unless it is a dry run.")


class ErasureView(BaseModel):
    user: str = Field(description="The name.")
    dry_run: bool
    counts: dict[str, int] = Field(description="Of jobs, recordings, faces and uploads that go, or went.")
    left: list[str] = Field(description="What is theirs and is not touched, in words.")
    waiting: int = Field(description="Jobs that are still at work; they are cancelled, and go after that.")
    finished: bool = Field(description="False where there is more to do: ask again.")


@api.get("/retention", responses={200: RuleList})
def index() -> Response:
    """The rules, by kind; for operators."""
    require_operations(viewer())
    with services().database.read() as session:
        return answer(RuleList(data=[_rule_view(rule) for rule in list_rules(session)]))


@api.put("/retention/<kind>", responses={200: RuleView, 404: Problem})
def change(path: KindPath, body: RuleWanted) -> Response:
    """Say how long things of a kind are kept after the end of their job; for admins."""
    user = viewer()
    require_admin(user)
    with services().database.write() as session:
        rule = set_rule(session, kind=path.kind, scope=body.scope, days=body.days, actor=user.id)
        session.flush()
        return answer(_rule_view(rule))


@api.delete("/retention/<kind>", responses={204: None, 404: Problem})
def remove(path: KindPath, query: ScopeQuery) -> Response:
    """Take a rule back; for admins."""
    user = viewer()
    require_admin(user)
    with services().database.write() as session:
        remove_rule(session, kind=path.kind, scope=query.scope, actor=user.id)
    return Response(status=204)


@api.get("/retention/preview", responses={200: GoingList})
def dry_run() -> Response:
    """What would go now by the rules, kind by kind; changes nothing; for operators."""
    require_operations(viewer())
    here = services()
    rows = [
        GoingView(
            kind=one.kind,
            jobs=list(one.jobs[:100]),
            job_count=len(one.jobs),
            count=one.count,
            bytes=one.bytes,
            shared=one.shared,
            finished=one.finished,
        )
        for one in preview(here.database, here.store, seconds=SECONDS)
    ]
    return answer(GoingList(data=rows))


@api.post("/retention/purge", responses={200: PurgedView})
def purge_now() -> Response:
    """Remove what is due, without waiting for the hourly round; for admins."""
    user = viewer()
    require_admin(user)
    here = services()
    gone = purge(here.database, here.store, actor=user.id, seconds=SECONDS)
    return answer(PurgedView(counts=dict(gone.counts), bytes=dict(gone.bytes), finished=gone.finished))


@api.post("/erasure", responses={200: ErasureView, 404: Problem})
def delete_data(body: ErasureWanted) -> Response:
    """Delete all recordings, faces and jobs of yourself or, for admins, of somebody else, for good."""
    user, here = viewer(), services()
    subject = subject_of(user, body.user)
    if body.dry_run:
        found = preview_erasure(here.database, here.store, subject.id)
    else:
        require_submitter(user)
        if body.confirm != subject.name:
            raise InvalidRequest(f"Set confirm to {subject.name!r}: what is deleted does not come back.")
        found = erase(here.database, here.store, subject.id, actor=user.id, seconds=SECONDS)
    told = answer(_erasure_view(subject, body.dry_run, found))
    return told if body.dry_run else forget_copies(told)


def subject_of(user: User, name: str | None) -> User:
    """Whose data it is about: one's own, or as an admin anybody's."""
    if name is None or name in (user.name, user.id):
        return user
    require_admin(user)
    with services().database.read() as session:
        return find_user(session, name)


def _rule_view(rule: RetentionRule) -> RuleView:
    return RuleView(
        kind=Kept(rule.kind),
        scope=rule.scope,
        days=rule.days,
        changed_by=rule.changed_by,
        changed_at=rule.changed_at,
    )


def _erasure_view(subject: User, dry_run: bool, found: Erased) -> ErasureView:
    return ErasureView(
        user=subject.name,
        dry_run=dry_run,
        counts=found.counts,
        left=found.left,
        waiting=found.waiting,
        finished=found.finished,
    )
