"""The pages of workers and queues. What moves on them is asked for again by itself."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from core.claims.draining import drain_worker, undrain_worker
from core.claims.worker_queries import list_queues, list_workers
from dashboard.identity import viewer
from dashboard.operating_words import WORKER_WORDS
from dashboard.permissions import may_operate, require_operations, require_watcher
from dashboard.services import services
from dashboard.translation import Said, phrase

bp = Blueprint("operating_pages", __name__)

# Colours that pages of jobs use for the same sort of thing.
STATE_CHIPS = {
    "working": "running",
    "idle": "completed",
    "draining": "cancelling",
    "drained": "paused",
    "leaving": "cancelling",
    "silent": "failed",
    "gone": "cancelled",
}


@bp.get("/workers")
def workers() -> str:
    return render_template("operating/workers.html", **_workers())


@bp.get("/workers/rows")
def worker_rows() -> str:
    return render_template("operating/_workers.html", **_workers())


@bp.post("/workers/<worker_id>/<any(drain, undrain):action>")
def change_worker(worker_id: str, action: str) -> ResponseReturnValue:
    user = viewer()
    require_operations(user)
    with services().database.write() as session:
        change = drain_worker if action == "drain" else undrain_worker
        pid = change(session, worker_id, actor=user.id).pid
    flash(
        phrase("Process {pid} finishes what it holds and claims nothing more.", pid=pid)
        if action == "drain"
        else phrase("Process {pid} claims work again.", pid=pid)
    )
    return redirect(url_for("operating_pages.workers"), 303)


@bp.get("/queues")
def queues() -> str:
    return render_template("operating/queues.html", **_queues())


@bp.get("/queues/rows")
def queue_rows() -> str:
    return render_template("operating/_queues.html", **_queues())


def _workers() -> dict[str, Any]:
    user = viewer()
    require_watcher(user)
    with services().database.read() as session:
        rows = list_workers(session)
    return {"rows": rows, "may": may_operate(user), "words": Said(WORKER_WORDS), "chips": STATE_CHIPS}


def _queues() -> dict[str, Any]:
    require_watcher(viewer())
    with services().database.read() as session:
        return {"queues": list_queues(session)}
