"""Cron expressions: checked, told in words, and turned into points in time.

Clock changes are treated as Debian's cron treats them. An expression with a set time of day fires once on each day: a
time that the change in spring leaves out fires at the moment of the change, and a time that comes twice in autumn fires
the first time only. An expression whose minutes or hours begin with `*` goes by what the clock shows: a time that it
never shows does not fire, and one that it shows twice fires twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from itertools import islice
from zoneinfo import ZoneInfo

from cron_descriptor import ExpressionDescriptor, Options
from cron_descriptor.Exception import FormatError as DescriptorError
from cronsim import CronSim, CronSimError

from core.errors import InvalidRequest

FIELDS = 5
_EXAMPLE = "such as `0 3 * * 1`: at 03:00 on Mondays"


def check_zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        InvalidRequest: there is none.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidRequest(
            f"There is no time zone {name[:60]!r}. Names are those of the IANA list, such as Europe/Berlin or UTC."
        ) from error


def check_cron(expression: str, zone: str) -> str:
    """The expression, one blank between its fields.

    Raises:
        InvalidRequest: it is none, it never fires, or there is no such time zone.
    """
    timer = check_zone(zone)
    fields = expression.split()
    if len(fields) != FIELDS:
        raise InvalidRequest(
            f"A cron expression has five fields (minute, hour, day of month, month, day of week), {_EXAMPLE}; "
            f"{expression[:60]!r} has {len(fields)}."
        )
    plain = " ".join(fields)
    try:
        first = next(CronSim(plain, datetime.now(timer)), None)
    except CronSimError as error:
        raise InvalidRequest(f"{plain[:60]!r} is no cron expression ({error}); one is {_EXAMPLE}.") from error
    if first is None:
        raise InvalidRequest(f"{plain!r} never comes: no day fits it.")
    return plain


def fire_times(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The points in time, in UTC, at which an expression fires after a moment; each is later than the one before."""
    last = after.astimezone(UTC)
    for moment in CronSim(expression, after.astimezone(ZoneInfo(zone))):
        # Round clock changes, two times of day may be one moment, and the first may lie before `after`.
        if (at := moment.astimezone(UTC)) > last:
            last = at
            yield at


def next_fire_time(expression: str, zone: str, after: datetime) -> datetime | None:
    return next(fire_times(expression, zone, after), None)


def next_fire_times(expression: str, zone: str, after: datetime, count: int = 5) -> list[datetime]:
    return list(islice(fire_times(expression, zone, after), count))


@cache
def _locale(language: str) -> str:
    folder = resources.files("cron_descriptor") / "locale"
    names = sorted(file.name.removesuffix(".mo") for file in folder.iterdir() if file.name.endswith(".mo"))
    return next((name for name in names if name.startswith(f"{language.partition('-')[0]}_")), "en_US")


def in_words(expression: str, language: str = "en") -> str:
    """What an expression says, as people say it; the expression itself where that is more than can be said.

    Args:
        language: such as `de`; English where the library has no words of it. Days and months keep their English names.
    """
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = _locale(language)
    try:
        return str(ExpressionDescriptor(expression, options).get_description())
    except (DescriptorError, ValueError, IndexError):
        return expression
