"""Whether a process of ours does its work, for whoever restarts containers: `python -m core.alive worker`.

A process that merely exists is not healthy. The ticker is, if it has just been through a round; the dashboard, if it
answers and the tables are those it needs; a worker, if it listened to the broker lately, or, while the broker is away,
if the ledger heard from it.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings, load_settings
from core.errors import VoicesketchError
from core.ledger.database import Database, now
from core.ledger.tables import Worker
from core.processes import host_identity

# What a dashboard needs itself: without store, broker or ticker it still shows what there is, and takes new jobs.
_READY = "/readyz?exclude=store&exclude=broker&exclude=ticker"
PARTS = ("dashboard", "ticker", "worker")
_MISSED_BEATS = 4
_SILENT_TICKS = 30
_SILENT_SECONDS = 30.0
_ANSWER_SECONDS = 5.0


def leave_sign(settings: Settings, part: str) -> None:
    """Notes that a part has just been through a round; where that cannot be written, nobody is kept from working."""
    sign = _sign(settings, part)
    try:
        sign.parent.mkdir(parents=True, exist_ok=True)
        sign.touch()
    except OSError:
        return


def silence_allowed(settings: Settings) -> float:
    """Seconds that a ticker may take for a round before it counts as one that hangs."""
    return max(_SILENT_TICKS * settings.tick_seconds, _SILENT_SECONDS)


def what_is_wrong(part: str, settings: Settings, port: int = 8000) -> str | None:
    """A sentence, or None for a part that does its work.

    Args:
        port: where the dashboard listens on this machine.
    """
    if part == "dashboard":
        return _dashboard(port, urlsplit(settings.public_url).netloc)
    return _ticker(settings) if part == "ticker" else _worker(settings)


def _dashboard(port: int, host: str) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        # By the name that people use: it answers to no other.
        connection.request("GET", _READY, headers={"Host": host})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"It does not answer on port {port}: {error}."
    finally:
        connection.close()
    return None if status == HTTPStatus.OK else f"It answers {status} on port {port}."


def _ticker(settings: Settings) -> str | None:
    silent = _silent_seconds(settings, "ticker")
    if silent is None:
        return "It has not been through a round yet."
    return None if silent <= silence_allowed(settings) else f"Its last round was {silent:.0f} s ago."


def _worker(settings: Settings) -> str | None:
    silent = _silent_seconds(settings, "worker")
    if silent is not None and silent <= _SILENT_SECONDS:
        return None
    listened = "never listened to the broker" if silent is None else f"last listened {silent:.0f} s ago"
    database = Database(settings.database_url)
    try:
        with database.read() as session:
            at = now(session)
            seen = session.scalar(
                select(Worker.id).where(
                    Worker.host == host_identity(),
                    Worker.ended_at.is_(None),
                    Worker.seen_at >= at - timedelta(seconds=_MISSED_BEATS * settings.heartbeat_seconds),
                )
            )
    except SQLAlchemyError as error:
        return f"It {listened}, and the ledger cannot be asked: {str(error).splitlines()[0]}"
    finally:
        database.dispose()
    return None if seen is not None else f"It {listened}, and the ledger does not hear from it."


def _silent_seconds(settings: Settings, part: str) -> float | None:
    """How long ago a part left its sign; None where it never did."""
    try:
        return time.time() - _sign(settings, part).stat().st_mtime
    except OSError:
        return None


def _sign(settings: Settings, part: str) -> Path:
    return settings.cache_folder.expanduser() / f"{part}.alive"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 for a part that does its work, 1 for one that does not, 2 for a wrong call."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0] not in PARTS:
        sys.stderr.write(f"python -m core.alive PART, where PART is one of: {', '.join(PARTS)}\n")
        return 2
    try:
        wrong = what_is_wrong(given[0], load_settings())
    except VoicesketchError as error:
        wrong = str(error)
    if wrong is not None:
        sys.stderr.write(f"{wrong}\n")
    return int(wrong is not None)


if __name__ == "__main__":
    sys.exit(main())
