"""What templates may use: words for states, numbers and times as people read them, and addresses of static files."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Flask
from markupsafe import Markup

from core.ledger.tables import Job
from core.models.metric_words import metric_interval, metric_number
from core.models.registry import input_of
from core.queries import ItemRow
from core.states import ITEM_WITH_FACE, JOB_FINAL, JobState
from dashboard.identity import viewer_or_none
from dashboard.navigation import has_page, main_links, operate_links
from dashboard.operating_words import LIMIT_WORDS
from dashboard.security import csrf_token
from dashboard.spoken import metric_title
from dashboard.static_files import register_static_files
from dashboard.training_words import PROGRAM_WORDS, TASK_WORDS
from dashboard.translation import Said, phrase, phrase_of, register_translation, said, written
from dashboard.words import ITEM_WORDS, JOB_WORDS, PREPARE_WORDS, STEP_WORDS

# Thinner than this, a part of the bar could not be seen at all.
_THINNEST_PERCENT = 0.8
# The same messages as in js/chosen_files.js.
_UNITS = (("{count} GB", 10**9), ("{count} MB", 10**6), ("{count} kB", 10**3))


@dataclass(frozen=True)
class Part:
    """One colour of a progress bar; both numbers are percent of its width."""

    name: str
    start: float
    width: float


def register_rendering(app: Flask) -> None:
    register_static_files(app)
    register_translation(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        csrf_token=csrf_token,
        viewer=viewer_or_none,
        has_page=has_page,
        main_links=main_links,
        operate_links=operate_links,
        job_words=job_words,
        tab_title=tab_title,
        job_state_words=lambda state: said(JOB_WORDS[JobState(state)]),
        item_words=Said(ITEM_WORDS),
        step_words=Said(STEP_WORDS),
        bar=bar,
        input_of=input_of,
        metric_title=metric_title,
        metric_number=lambda name, value: written(metric_number(name, value)),
        metric_interval=lambda name, metric: written(metric_interval(name, metric)),
        task_words=TASK_WORDS,
        limit_words=Said(LIMIT_WORDS),
    )
    app.jinja_env.filters.update(
        number=number,
        when=when,
        span=span,
        clock=clock,
        size=size,
        capitalize_first=capitalize_first,
        figure=figure,
        spark=spark,
        pretty=pretty,
        metric_title=metric_title,
        written=written,
    )
    app.jinja_env.tests["drawn"] = _is_drawn


def bar(job: Job) -> list[Part]:
    """The parts of a job's progress bar from left to right; what waits is the ground they lie on."""
    counts = {
        "faces": job.done + job.cached,
        "failed": job.failed,
        "cancelled": job.cancelled + job.skipped,
        "leased": job.leased,
    }
    parts, start = [], 0.0
    for name, count in counts.items():
        if count and job.total:
            width = min(max(100 * count / job.total, _THINNEST_PERCENT), 100 - start)
            parts.append(Part(name, round(start, 3), round(width, 3)))
            start += width
    return parts


def number(value: int) -> str:
    return written(f"{value:,}")


def when(at: datetime | None) -> Markup:
    """A point in time; a script writes it in the time zone of whoever looks."""
    if at is None:
        return Markup("")
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%d %b %Y, %H:%M UTC")
    )


def span(seconds: float | None) -> str:
    """How long something takes, in the words one would say."""
    if seconds is None:
        return ""
    if seconds < 60:
        return phrase("{count} s", count=max(1, round(seconds)))
    if seconds < 3600:
        return phrase("{count} min", count=round(seconds / 60))
    if seconds < 48 * 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        if minutes:
            return phrase("{hours} h {minutes} min", hours=hours, minutes=minutes)
        return phrase("{count} h", count=hours)
    return phrase_of("{count} day", "{count} days", round(seconds / 86400))


def clock(seconds: float | None) -> str:
    """The length of a recording, as players write it."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def size(count: int) -> str:
    """Bytes as people say them."""
    for unit, of in _UNITS:
        if count >= of:
            return phrase(unit, count=written(f"{count / of:,.{int(count < 10 * of)}f}"))
    return phrase("{count} B", count=count)


def capitalize_first(text: str) -> str:
    """The rest stays as it is, unlike with Jinja's own filter."""
    return text[:1].upper() + text[1:]


def figure(value: float | None) -> str:
    """A measured number with as many digits as say something."""
    if value is None:
        return ""
    if value and abs(value) < 0.001:
        return written(f"{value:.2e}")
    digits = 0 if abs(value) >= 1000 else 3 if abs(value) < 10 else 1
    return written(f"{value:,.{digits}f}")


def spark(points: Sequence[float]) -> Markup:
    """A small curve without axes, with its last value for those who cannot see it."""
    known = [value for value in points if math.isfinite(value)]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    width = (high - low) or 1.0
    path = " ".join(
        f"{100 * number / (len(known) - 1):.1f},{28 - 26 * (value - low) / width:.1f}"
        for number, value in enumerate(known)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path d="M{}"/></svg>'
    ).format(phrase("Loss, now {value}", value=figure(known[-1])), path)


def pretty(value: object) -> str:
    """Data as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def job_words(job: Job) -> str:
    """The state of a job, in words that fit what it does."""
    words = PREPARE_WORDS if job.kind == "prepare" else PROGRAM_WORDS.get(job.kind, JOB_WORDS)
    return said(words[job.state])


def tab_title(job: Job, share: float) -> str:
    """What the tab of a job's page is called: how far it is comes first, since tabs are narrow."""
    name = f"{job.name} · voicesketch"
    if job.state in JOB_FINAL:
        return name
    return f"{int(100 * share)} % · {name}"


def _is_drawn(row: ItemRow) -> bool:
    return row.state in ITEM_WITH_FACE and row.face_key is not None
