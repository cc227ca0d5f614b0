"""Schedules: the list of them, the page of one with its runs, and the form that makes or changes one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from core.datasets.collections import list_collections
from core.errors import Conflict, NotFound
from core.ledger.database import now
from core.ledger.schedule_tables import Schedule, ScheduleRun
from core.ledger.tables import Job, User
from core.queries import get_job
from core.schedules import steering as schedules
from core.schedules.queries import (
    get_run,
    list_runs,
    list_schedules,
    next_times,
    notes_of,
)
from core.schedules.specs import Retraining
from core.schedules.states import RUN_OPEN, SENTENCES
from core.training.presets import PRESETS
from dashboard.api.schedule_views import host_of
from dashboard.identity import viewer
from dashboard.permissions import may_schedule, require_scheduler
from dashboard.schedule_words import (
    CATCH_UP_WORDS,
    COMMON,
    GATE_METRICS,
    OVERLAP_WORDS,
    RUN_CHIPS,
    RUN_WORDS,
    WHY_WORDS,
)
from dashboard.services import services
from dashboard.spoken import metric_title, when_words
from dashboard.training_words import TASK_WORDS
from dashboard.translation import phrase

bp = Blueprint("schedule_pages", __name__)

_AT_ONCE = 20
_WORDS: dict[str, Any] = {
    "run_words": RUN_WORDS,
    "run_chips": RUN_CHIPS,
    "why_words": WHY_WORDS,
    "sentences": SENTENCES,
    "open_states": RUN_OPEN,
}


@bp.get("/schedules")
def index() -> str:
    return render_template("schedules/list.html", **_list())


@bp.get("/schedules/rows")
def rows() -> str:
    """The list alone, which a page asks for now and then."""
    return render_template("schedules/_rows.html", **_list())


@bp.get("/schedules/new")
def new() -> str:
    require_scheduler(viewer())
    return render_template("schedules/form.html", schedule=None, template=None, **_choices())


@bp.get("/schedules/<name>")
def show(name: str) -> str:
    with services().database.read() as session:
        return render_template("schedules/schedule.html", **_page(session, name))


@bp.get("/schedules/<name>/runs")
def runs(name: str) -> str:
    """What moves on the page of a schedule, alone."""
    with services().database.read() as session:
        return render_template("schedules/_runs.html", **_page(session, name))


@bp.get("/schedules/<name>/edit")
def edit(name: str) -> str:
    require_scheduler(viewer())
    with services().database.read() as session:
        schedule = schedules.find_schedule(session, name)
    template = Retraining.model_validate(schedule.template)
    return render_template("schedules/form.html", schedule=schedule, template=template, **_choices())


@bp.post("/schedules/<name>/<any(pause, resume, run, remove):action>")
def change(name: str, action: str) -> ResponseReturnValue:
    """The buttons of a schedule."""
    user, database = viewer(), services().database
    require_scheduler(user)
    if action == "pause":
        schedules.pause_schedule(database, user, name)
        flash(phrase("Paused: it does not fire until it is resumed. A run under way goes on."))
    elif action == "resume":
        schedules.resume_schedule(database, user, name)
        flash(phrase("Resumed: it fires again."))
    elif action == "run":
        schedules.run_now(database, user, name, anyway="anyway" in request.form)
        flash(phrase("A run has begun."))
    else:
        schedules.remove_schedule(database, user, name)
        flash(phrase("The schedule {name} is removed.", name=name))
        return redirect(url_for("schedule_pages.index"), 303)
    return redirect(url_for("schedule_pages.show", name=name), 303)


@bp.post("/schedules/<name>/runs/<run_id>/cancel")
def cancel(name: str, run_id: str) -> ResponseReturnValue:
    """The button of a run."""
    user, database = viewer(), services().database
    require_scheduler(user)
    with database.read() as session:
        run = get_run(session, schedules.find_schedule(session, name), run_id)
    with suppress(Conflict):  # it ended while the page was looked at, which the page now shows
        schedules.cancel(database, user, run.id)
    return redirect(url_for("schedule_pages.show", name=name), 303)


def _list() -> dict[str, Any]:
    with services().database.read() as session:
        found = list_schedules(session)
        at = now(session)
        return {
            "rows": [
                {
                    "schedule": row.schedule,
                    "last": row.last,
                    "when": _when(row.schedule),
                    "next": next(iter(next_times(row.schedule, at)), None),
                    "model": row.schedule.template["training"]["model"],
                    "collection": row.schedule.template["source"]["collection"],
                }
                for row in found
            ],
            "live": any(row.last is not None and row.last.state in RUN_OPEN for row in found),
            "may_schedule": may_schedule(viewer()),
            **_WORDS,
        }


def _page(session: Session, name: str) -> dict[str, Any]:
    user = viewer()
    schedule = schedules.find_schedule(session, name)
    before = request.args.get("before", "")[:40] or None
    found = list_runs(session, schedule.id, limit=_AT_ONCE + 1, before=before)
    shown = found[:_AT_ONCE]
    template = Retraining.model_validate(schedule.template)
    return {
        "schedule": schedule,
        "owner": session.get_one(User, schedule.owner_id).name,
        "template": template,
        "task": TASK_WORDS.get(template.training.recipe.task, (template.training.recipe.task,))[0],
        "when": _when(schedule),
        "next_times": next_times(schedule, now(session)),
        "runs": shown,
        "jobs": _jobs(session, user, shown),
        "notes": notes_of(session, [run.id for run in shown]),
        "before": before,
        "older": shown[-1].id if len(found) > _AT_ONCE else None,
        "live": any(run.state in RUN_OPEN for run in shown),
        "tells": host_of(schedule.webhook_url),
        "may_schedule": may_schedule(user),
        "overlap_words": OVERLAP_WORDS,
        "catch_up_words": CATCH_UP_WORDS,
        **_WORDS,
    }


def _jobs(session: Session, user: User, shown: Sequence[ScheduleRun]) -> dict[str, Job]:
    """The jobs of runs, as far as somebody may see them."""
    jobs = {}
    for run in shown:
        for job_id in filter(None, (run.prepare_job_id, run.train_job_id)):
            try:
                jobs[job_id] = get_job(session, user, job_id)
            except NotFound:
                continue
    return jobs


def _when(schedule: Schedule) -> str:
    return when_words(schedule)


def _choices() -> dict[str, Any]:
    with services().database.read() as session:
        collections = [collection.name for collection, _ in list_collections(session, viewer())]
    return {
        "collections": collections,
        "tasks": [
            (words[0], [one for one in PRESETS.values() if one.recipe.task == task])
            for task, words in TASK_WORDS.items()
        ],
        "zones": sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
        "metrics": [(name, metric_title(name)) for name in GATE_METRICS],
        "common": COMMON,
        "overlaps": [(value, words) for value, (words, _) in OVERLAP_WORDS.items()],
        "catch_ups": list(CATCH_UP_WORDS.items()),
    }
