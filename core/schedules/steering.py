"""Schedules as people change them: create, edit, pause, resume, run now, remove. Each change is audited."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.datasets.collections import get_collection
from core.datasets.requests import pinned_recipe
from core.errors import Conflict, InvalidRequest, NotFound
from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import User
from core.models.registry import PRODUCTION
from core.people.audit import record
from core.schedules.cron import next_fire_time
from core.schedules.runs import cancel_run, enter_run, hold_run, hold_schedule, open_runs
from core.schedules.specs import NewSchedule, Retraining, ScheduleChange
from core.training.requests import FEATURES, check_training
from core.webhook_sending import check_url
from core.webhooks import new_secret

Clock = Callable[[Session], datetime]

_TOLD = 5
_DRAW_NOTHING = frozenset({"matching"})


def create_schedule(
    database: Database, user: User, wanted: NewSchedule, *, private_webhooks: bool = False, clock: Clock = now
) -> tuple[Schedule, str | None]:
    """Makes a schedule that has been checked completely.

    Returns:
        It, and the secret that notes are signed with, where there is somebody to tell; it is never shown again.

    Raises:
        InvalidRequest: what it names is not here, it could never be carried out, or the name is taken.
    """
    if wanted.webhook_url is not None:
        check_url(wanted.webhook_url, private=private_webhooks)
    secret = new_secret() if wanted.webhook_url is not None else None
    try:
        with database.write() as session:
            _check(session, user, wanted)
            at = clock(session)
            schedule = Schedule(
                id=new_id("schedule"),
                owner_id=user.id,
                name=wanted.name,
                pairs_at_last=0,
                created_at=at,
                webhook_secret=secret,
                **_columns(wanted),
            )
            schedule.next_fire_at = _next(wanted, at)
            session.add(schedule)
            session.flush()
            record(
                session,
                actor=user.id,
                action="schedule.create",
                subject=wanted.name,
                details=_audited(wanted),
            )
    except IntegrityError as error:
        raise InvalidRequest(
            f"There is already a schedule {wanted.name!r}: choose another name, or edit that one."
        ) from error
    return schedule, secret


def edit_schedule(
    database: Database,
    user: User,
    name: str,
    change: ScheduleChange,
    *,
    private_webhooks: bool = False,
    clock: Clock = now,
) -> tuple[Schedule, str | None]:
    """Changes what is given. Runs under way go on as they began; later ones are as changed.

    Returns:
        As `create_schedule`; a secret only where there was nobody to tell before.

    Raises:
        NotFound, InvalidRequest: as `create_schedule`.
    """
    given = change.given()
    if given.get("webhook_url") is not None:
        check_url(given["webhook_url"], private=private_webhooks)
    with database.write() as session:
        schedule = _held(session, name)
        before = as_wanted(schedule)
        wanted = _changed(before, given)
        if wanted.template != before.template:
            _check(session, user, wanted)
        at = clock(session)
        secret = None
        if wanted.webhook_url is not None and schedule.webhook_secret is None:
            secret = schedule.webhook_secret = new_secret()
        for column, value in _columns(wanted).items():
            setattr(schedule, column, value)
        if (wanted.cron, wanted.time_zone) != (before.cron, before.time_zone):
            schedule.next_fire_at = _next(wanted, at)
        changed = {field: value for field, value in _audited(wanted).items() if field in given}
        record(session, actor=user.id, action="schedule.edit", subject=name, details=changed)
        session.flush()
    return schedule, secret


def change_secret(database: Database, user: User, name: str) -> str:
    """Makes a new secret for the notes of a schedule; the one before is good for nothing from now on.

    Raises:
        NotFound: there is no such schedule.
        Conflict: nobody is told about its runs.
    """
    with database.write() as session:
        schedule = _held(session, name)
        if schedule.webhook_url is None:
            raise Conflict(f"{name} tells nobody about its runs: give it a webhook_url first.")
        schedule.webhook_secret = new_secret()
        record(session, actor=user.id, action="schedule.secret", subject=name)
        return schedule.webhook_secret


def pause_schedule(database: Database, user: User, name: str, *, clock: Clock = now) -> Schedule:
    """Fires no more until it is resumed. Runs under way go on. Pausing twice changes nothing."""
    with database.write() as session:
        schedule = _held(session, name)
        if schedule.paused_at is None:
            schedule.paused_at = clock(session)
            record(session, actor=user.id, action="schedule.pause", subject=name)
        session.flush()
    return schedule


def resume_schedule(database: Database, user: User, name: str, *, clock: Clock = now) -> Schedule:
    """Fires again; what was missed meanwhile is made up for as its `catch_up` says."""
    with database.write() as session:
        schedule = _held(session, name)
        if schedule.paused_at is not None:
            schedule.paused_at = None
            if schedule.catch_up == "none" and schedule.cron is not None:
                schedule.next_fire_at = next_fire_time(schedule.cron, schedule.time_zone, clock(session))
            record(session, actor=user.id, action="schedule.resume", subject=name)
        session.flush()
    return schedule


def run_now(
    database: Database, user: User, name: str, *, anyway: bool = False, clock: Clock = now
) -> ScheduleRun:
    """Begins a run at once, also of a schedule that is paused.

    Args:
        anyway: train even where nothing is new.

    Raises:
        NotFound: there is no such schedule.
        Conflict: a run is under way, and the schedule skips what overlaps.
    """
    with database.write() as session:
        schedule = _held(session, name)
        if schedule.overlap == "skip" and open_runs(session, schedule.id):
            raise Conflict(f"A run of {name} is under way. Wait for it, or cancel it first.")
        at = clock(session)
        run = enter_run(session, schedule, fire_time=at, why="by_hand", at=at, anyway=anyway)
        if run is None:
            raise Conflict(f"{name} has fired this very moment.")
        record(session, actor=user.id, action="schedule.run", subject=name, details={"run": run.id})
    return run


def cancel(database: Database, user: User, run_id: str, *, clock: Clock = now) -> ScheduleRun:
    """Cancels a run and its job.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended.
    """
    with database.write() as session:
        schedule, run = hold_run(session, run_id)
        cancel_run(
            session,
            schedule,
            run,
            actor=user.id,
            at=clock(session),
            reason=f"{user.name} cancelled it.",
        )
    return run


def remove_schedule(database: Database, user: User, name: str, *, clock: Clock = now) -> None:
    """Removes a schedule and cancels what is under way. Its runs and their models stay."""
    with database.write() as session:
        schedule = _held(session, name)
        at = clock(session)
        for run in open_runs(session, schedule.id):
            _, held = hold_run(session, run.id)
            cancel_run(session, schedule, held, actor=user.id, at=at, reason="The schedule was removed.")
        schedule.removed_at = at
        schedule.next_fire_at = None
        record(session, actor=user.id, action="schedule.remove", subject=name)


def find_schedule(session: Session, name: str) -> Schedule:
    """The schedule of that name that was not removed.

    Raises:
        NotFound: there is none.
    """
    schedule = session.scalar(select(Schedule).where(Schedule.name == name, Schedule.removed_at.is_(None)))
    if schedule is None:
        raise NotFound(f"There is no schedule {name!r}.")
    return schedule


def as_wanted(schedule: Schedule) -> NewSchedule:
    """A schedule as somebody would ask for it."""
    return NewSchedule.model_validate(
        {
            field: getattr(schedule, field)
            for field in (
                "name",
                "cron",
                "time_zone",
                "new_pairs",
                "template",
                "catch_up",
                "overlap",
                "webhook_url",
            )
        }
    )


def _held(session: Session, name: str) -> Schedule:
    schedule = hold_schedule(session, find_schedule(session, name).id)
    if schedule.removed_at is not None:
        raise NotFound(f"There is no schedule {name!r}.")
    return schedule


def _columns(wanted: NewSchedule) -> dict[str, Any]:
    return {
        "cron": wanted.cron,
        "time_zone": wanted.time_zone,
        "new_pairs": wanted.new_pairs,
        "template": wanted.template.model_dump(mode="json"),
        "catch_up": wanted.catch_up,
        "overlap": wanted.overlap,
        "webhook_url": wanted.webhook_url,
    }


def _audited(wanted: NewSchedule) -> dict[str, Any]:
    """An address of a webhook often holds a key of its owner, so the audit names its host alone."""
    values = wanted.model_dump(mode="json", exclude={"name", "webhook_url"})
    return {**values, "webhook_url": wanted.webhook_url and wanted.webhook_url.split("/")[2]}


def _changed(before: NewSchedule, given: dict[str, Any]) -> NewSchedule:
    values = {**before.model_dump(), **given}
    try:
        return NewSchedule.model_validate(values)
    except ValidationError as error:
        slips = "; ".join(str(slip["msg"]).removeprefix("Value error, ") for slip in error.errors()[:_TOLD])
        raise InvalidRequest(f"The schedule cannot be changed so: {slips}.") from error


def _next(wanted: NewSchedule, at: datetime) -> datetime | None:
    return next_fire_time(wanted.cron, wanted.time_zone, at) if wanted.cron is not None else None


def _check(session: Session, user: User, wanted: NewSchedule) -> None:
    """Whether it could be carried out with what is here now.

    Raises:
        InvalidRequest: naming everything that is in the way.
    """
    template = wanted.template
    problems: list[str] = []
    try:
        get_collection(session, user, template.source.collection)
    except NotFound as error:
        problems.append(f"{error.message} Begin one: voicesketch collections add NAME FOLDER")
    try:
        pinned_recipe(session, template.recipe)
    except InvalidRequest as error:
        problems.append(error.message)
    problems += _missing_features(template)
    spec = template.training.spec(template.dataset_name, None)
    _, found = check_training(session, user, spec)
    # The dataset is made by the first run.
    problems += [f"{one.field}: {one.message}" for one in found if one.field != "dataset"]
    after = template.training.after
    to_production = after.promote and after.gate is not None and after.gate.alias == PRODUCTION
    if to_production and template.training.recipe.task in _DRAW_NOTHING:
        problems.append(
            f"after.promote: what this training makes draws nothing by itself, so it cannot be {PRODUCTION}. "
            "Name another alias, or leave the promotion out."
        )
    if problems:
        raise InvalidRequest(" ".join(dict.fromkeys(problems[:_TOLD])))


def _missing_features(template: Retraining) -> list[str]:
    recipe, task = template.recipe, template.training.recipe.task
    kept = {*(recipe.voice.features if recipe.voice else ()), *(recipe.face.outputs if recipe.face else ())}
    missing = [name for name in FEATURES[task] if name not in kept]
    if not missing:
        return []
    return [
        f"prepare: a training of {task} needs {' and '.join(missing)}, which this preparation does not keep. "
        "Leave it out, and what is needed is kept."
    ]
