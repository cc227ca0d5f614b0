"""Schedules: when what is retrained, its runs, and everything that people do to them."""

from __future__ import annotations

from flask import Response
from sqlalchemy.orm import Session

from core.ledger.database import now
from core.ledger.schedule_tables import Schedule
from core.ledger.tables import User
from core.schedules import steering as schedules
from core.schedules.cron import check_cron, next_fire_times
from core.schedules.queries import get_run, list_runs, list_schedules
from core.schedules.specs import NewSchedule, ScheduleChange
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schedule_schemas import (
    Gone,
    Preview,
    PreviewRequest,
    RunPath,
    RunRequest,
    RunView,
    ScheduleDetails,
    ScheduleList,
    ScheduleMade,
    SchedulePath,
    ScheduleQuery,
    ScheduleView,
    SecretView,
)
from dashboard.api.schedule_views import fire_times, run_views, schedule_view
from dashboard.identity import viewer
from dashboard.permissions import require_scheduler
from dashboard.services import services
from dashboard.spoken import expression_words

api = api_blueprint("schedules", "What is retrained by itself, and when.")


@api.get("/schedules", responses={200: ScheduleList})
def index(query: ScheduleQuery) -> Response:
    """Every schedule, by name, with its next fire times and its newest run."""
    with services().database.read() as session:
        data = [
            schedule_view(session, row.schedule, viewer(), owner=row.owner, last=row.last, zone=query.zone)
            for row in list_schedules(session)
        ]
    return answer(ScheduleList(data=data))


@api.post("/schedules", responses={201: ScheduleMade})
def create(body: NewSchedule) -> Response:
    """Make a schedule; for operators. It is checked completely first."""
    user = viewer()
    require_scheduler(user)
    here = services()
    made, secret = schedules.create_schedule(
        here.database, user, body, private_webhooks=here.settings.webhooks_to_private
    )
    return answer(_made(made, user, secret), 201)


@api.post("/schedules/preview", responses={200: Preview})
def preview(body: PreviewRequest) -> Response:
    """What a cron expression says, and when it would fire next."""
    plain = check_cron(body.cron, body.time_zone)
    with services().database.read() as session:
        times = next_fire_times(plain, body.time_zone, now(session))
    return answer(Preview(words=expression_words(plain), next=fire_times(times, body.time_zone, body.zone)))


@api.get("/schedules/<name>", responses={200: ScheduleDetails})
def show(path: SchedulePath, query: ScheduleQuery) -> Response:
    """One schedule, with its next fire times and its newest runs."""
    with services().database.read() as session:
        schedule = schedules.find_schedule(session, path.name)
        found = list_runs(session, schedule.id, limit=query.limit + 1, before=query.before)
        shown = found[: query.limit]
        view = _view(session, schedule, viewer(), query.zone)
        body = ScheduleDetails(
            **view.model_dump(),
            runs=run_views(session, shown),
            next_page=shown[-1].id if len(found) > query.limit else None,
        )
    return answer(body)


@api.patch("/schedules/<name>", responses={200: ScheduleMade})
def edit(path: SchedulePath, body: ScheduleChange) -> Response:
    """Change what is given about a schedule; for operators. A value of null takes something away."""
    user = viewer()
    require_scheduler(user)
    here = services()
    made, secret = schedules.edit_schedule(
        here.database, user, path.name, body, private_webhooks=here.settings.webhooks_to_private
    )
    return answer(_made(made, user, secret))


@api.delete("/schedules/<name>", responses={200: Gone})
def remove(path: SchedulePath) -> Response:
    """Remove a schedule and cancel what is under way; for operators. Its models stay."""
    user = viewer()
    require_scheduler(user)
    schedules.remove_schedule(services().database, user, path.name)
    return answer(Gone(removed=path.name))


@api.post("/schedules/<name>/pause", responses={200: ScheduleView})
def pause(path: SchedulePath) -> Response:
    """Fire no more until it is resumed; for operators."""
    user = viewer()
    require_scheduler(user)
    schedules.pause_schedule(services().database, user, path.name)
    return _answer_with(path.name, user)


@api.post("/schedules/<name>/resume", responses={200: ScheduleView})
def resume(path: SchedulePath) -> Response:
    """Fire again; for operators."""
    user = viewer()
    require_scheduler(user)
    schedules.resume_schedule(services().database, user, path.name)
    return _answer_with(path.name, user)


@api.post("/schedules/<name>/run", responses={201: RunView})
def run(path: SchedulePath, body: RunRequest) -> Response:
    """Begin a run now; for operators."""
    user = viewer()
    require_scheduler(user)
    made = schedules.run_now(services().database, user, path.name, anyway=body.anyway)
    with services().database.read() as session:
        return answer(run_views(session, [made])[0], 201)


@api.post("/schedules/<name>/secret", responses={200: SecretView})
def secret(path: SchedulePath) -> Response:
    """Make a new secret for the notes of a schedule; for operators."""
    user = viewer()
    require_scheduler(user)
    return answer(SecretView(webhook_secret=schedules.change_secret(services().database, user, path.name)))


@api.get("/schedules/<name>/runs/<run_id>", responses={200: RunView})
def show_run(path: RunPath) -> Response:
    """One run of a schedule."""
    with services().database.read() as session:
        found = get_run(session, schedules.find_schedule(session, path.name), path.run_id)
        return answer(run_views(session, [found])[0])


@api.post("/schedules/<name>/runs/<run_id>/cancel", responses={200: RunView})
def cancel_run(path: RunPath) -> Response:
    """Cancel a run and its job; for operators."""
    user = viewer()
    require_scheduler(user)
    database = services().database
    with database.read() as session:
        found = get_run(session, schedules.find_schedule(session, path.name), path.run_id)
    schedules.cancel(database, user, found.id)
    with database.read() as session:
        ended = get_run(session, schedules.find_schedule(session, path.name), path.run_id)
        return answer(run_views(session, [ended])[0])


def _view(session: Session, schedule: Schedule, user: User, zone: str | None = None) -> ScheduleView:
    owner = session.get_one(User, schedule.owner_id)
    newest = list_runs(session, schedule.id, limit=1)
    return schedule_view(
        session, schedule, user, owner=owner.name, last=newest[0] if newest else None, zone=zone
    )


def _made(schedule: Schedule, user: User, secret: str | None) -> ScheduleMade:
    with services().database.read() as session:
        return ScheduleMade(**_view(session, schedule, user).model_dump(), webhook_secret=secret)


def _answer_with(name: str, user: User) -> Response:
    with services().database.read() as session:
        return answer(_view(session, schedules.find_schedule(session, name), user))
