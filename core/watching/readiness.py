"""Whether a place is ready for work, asked every few seconds by whoever sends requests to it: `/readyz`.

Each part is asked by a thread of its own, at most one at a time, and an answer holds for two seconds. So a part that
hangs costs whoever asks a few seconds, and never a thread for each question.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings
from core.errors import VoicesketchError
from core.ledger.database import Database
from core.ledger.schema_fit import Fit, fit_of
from core.store import Store
from core.watching.presence import present

log = structlog.get_logger()

_HOLDS_SECONDS = 2.0
_PATIENCE_SECONDS = 4.0
# A ledger ahead of this code is that of an upgrade under way, and is one that old processes go on with.
_FITTING = (Fit.FITS, Fit.AHEAD, Fit.UNKNOWN)


class NotReady(VoicesketchError):
    """A part is there, but not in a state to work with."""

    code = "not_ready"


class Readiness:
    """The parts of a place, and what they last said. Safe to use from several threads."""

    def __init__(self, parts: Mapping[str, Callable[[], None]]) -> None:
        """
        Args:
            parts: asks each by its name; one that is not ready raises.
        """
        self._parts = {name: _Part(name, ask) for name, ask in parts.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._parts)

    def look(self, without: Collection[str] = ()) -> dict[str, str]:
        """What each part says: `ok`, `failed`, or `no answer` where it takes longer than four seconds."""
        asked = {name: part for name, part in self._parts.items() if name not in without}
        for part in asked.values():
            part.begin()
        until = time.monotonic() + _PATIENCE_SECONDS
        return {name: part.answer(until) for name, part in asked.items()}


class _Part:
    def __init__(self, name: str, ask: Callable[[], None]) -> None:
        self._name, self._ask = name, ask
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._asking = False
        self._said, self._at = "", float("-inf")

    def begin(self) -> None:
        with self._lock:
            if self._asking or time.monotonic() - self._at < _HOLDS_SECONDS:
                return
            self._asking = True
            self._answered.clear()
        threading.Thread(target=self._find_out, name=f"ready-{self._name}", daemon=True).start()

    def answer(self, until: float) -> str:
        """Waits for the answer so long, on the monotonic clock."""
        if not self._answered.wait(max(0.0, until - time.monotonic())):
            return "no answer"
        with self._lock:
            return self._said

    def _find_out(self) -> None:
        said = "failed"
        try:
            self._ask()
            said = "ok"
        except (VoicesketchError, SQLAlchemyError, redis.RedisError, OSError) as error:
            if self._said != said:  # once, and not with every question
                log.warning("not ready", part=self._name, reason=str(error).splitlines()[0])
        finally:
            with self._lock:
                self._said, self._at, self._asking = said, time.monotonic(), False
            self._answered.set()


def readiness_of(settings: Settings, database: Database, store: Store) -> Readiness:
    """Ledger, migrations, store, broker, and a ticker that goes through its rounds."""

    def migrations() -> None:
        with database.read() as session:
            fit = fit_of(session)
        if fit not in _FITTING:
            raise NotReady(f"The tables are {fit}: run python -m core.bootstrap of this version.")

    def ledger() -> None:
        with database.read() as session:
            session.connection().exec_driver_sql("SELECT 1")

    def broker() -> None:
        with contextlib.closing(
            redis.Redis.from_url(
                settings.broker_url.get_secret_value(),
                socket_timeout=_PATIENCE_SECONDS,
                socket_connect_timeout=_PATIENCE_SECONDS,
            )
        ) as client:
            client.ping()

    def objects() -> None:
        if (code := store.refusal()) is not None:
            raise NotReady(f"The store refuses us ({code}).")

    def ticker() -> None:
        if not any(one.part == "ticker" for one in present(settings)):
            raise NotReady("No ticker has been through a round within half a minute.")

    return Readiness(
        {"ledger": ledger, "migrations": migrations, "store": objects, "broker": broker, "ticker": ticker}
    )
