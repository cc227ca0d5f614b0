"""Sentences that depend on too much to be recognised by their shape: said anew, in the language of whoever looks.

`core` says the same in English, for shells and logs.
"""

from __future__ import annotations

import re

from core.estimates import Estimate
from core.ledger.schedule_tables import Schedule
from core.models.metric_words import metric_words
from core.schedules.cron import in_words as cron_in_words
from dashboard.schedule_words import DAY_AND_MONTH_WORDS
from dashboard.translation import ENGLISH, language, phrase, phrase_of, said, written

_NAME = re.compile(rf"\b(?:{'|'.join(DAY_AND_MONTH_WORDS)})\b")


def estimate_words(found: Estimate) -> str:
    """How long a job would take."""
    if not found.workers or found.items_per_second is None or found.seconds is None:
        return said(found.sentence)
    about = {
        "time": time_words(found.seconds),
        "rate": written(f"{found.items_per_second * found.workers:.2g}"),
    }
    if found.items_ahead:
        sentences = [
            phrase_of(
                "About {time}, at {rate} a second and with {count} recording before or beside it.",
                "About {time}, at {rate} a second and with {count} recordings before or beside it.",
                found.items_ahead,
                **about,
            )
        ]
    else:
        sentences = [phrase("About {time}, at {rate} a second.", **about)]
    if found.others_ahead:
        sentences.append(
            phrase_of(
                "{count} job of another kind goes first, which is not counted.",
                "{count} jobs of another kind go first, which is not counted.",
                found.others_ahead,
            )
        )
    return " ".join(sentences)


def metric_title(name: str) -> str:
    """What a metric measures."""
    title, endings = metric_words(name)
    return ", ".join(map(said, [title, *endings]))


def when_words(schedule: Schedule) -> str:
    """When a schedule fires."""
    words = []
    if schedule.cron is not None:
        words.append(phrase("{when} ({zone})", when=expression_words(schedule.cron), zone=schedule.time_zone))
    if schedule.new_pairs is not None:
        if words:
            words.append(
                phrase_of(
                    "or as soon as {count} new pair has arrived",
                    "or as soon as {count} new pairs have arrived",
                    schedule.new_pairs,
                )
            )
        else:
            words.append(
                phrase_of(
                    "As soon as {count} new pair has arrived",
                    "As soon as {count} new pairs have arrived",
                    schedule.new_pairs,
                )
            )
    return ", ".join(words)


def expression_words(expression: str) -> str:
    """What a cron expression says; the library that reads it has languages of its own."""
    words = cron_in_words(expression, language())
    return _NAME.sub(lambda found: said(found[0]), words) if language() != ENGLISH else words


def time_words(seconds: float) -> str:
    """A time as far as a guess carries it."""
    if seconds >= 0.95 * 86400:
        return phrase_of("{count} day", "{count} days", max(1, round(seconds / 86400)))
    if seconds >= 0.95 * 3600:
        return phrase_of("{count} hour", "{count} hours", max(1, round(seconds / 3600)))
    if seconds >= 0.95 * 60:
        return phrase_of("{count} minute", "{count} minutes", max(1, round(seconds / 60)))
    return phrase_of("{count} second", "{count} seconds", max(1, round(seconds)))
