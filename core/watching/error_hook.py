"""Tells a service such as Sentry or GlitchTip of errors that are faults of ours. Off unless an address is given.

What is sent is put together here, from a few things that are known to be harmless: the kind of the error, the code of
ours, the functions it went through, the part, and the ids of job and attempt. Messages stay here, for they may hold
file names; so do local variables, requests, names of people and hosts, and whatever is in a recording.
"""

from __future__ import annotations

import atexit
import importlib
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.code_identity import code_name
from core.errors import InvalidSettings, VoicesketchError

_CODE = Path(__file__).resolve().parents[2]
_AGAIN_SECONDS = 60.0  # the same error at the same place is told once in so long
_MOST_REMEMBERED = 1000
_LAST_WORDS_SECONDS = 2.0
_IDS = ("job", "attempt", "item", "step")


class ErrorHook:
    """Tells nobody."""

    def tell(self, event: str, error: BaseException, known: Mapping[str, Any]) -> None:
        """Args:
        event: what was going on, in the words of the log.
        known: what else the log says; only ids are used of it.
        """


class SentryHook(ErrorHook):
    """Tells whatever speaks Sentry's protocol, in a thread of its own.

    Args:
        dsn: the address, with its public key.
        part: dashboard, ticker or worker.

    Raises:
        InvalidSettings: it is no such address, or the program that sends is not installed.
    """

    def __init__(self, dsn: str, part: str) -> None:
        try:
            sdk: Any = importlib.import_module("sentry_sdk")
        except ImportError as error:
            raise InvalidSettings(
                "VOICESKETCH_SENTRY_DSN is set, and sentry-sdk is not here: pip install 'voicesketch[errors]'."
            ) from error
        try:
            # Nothing of its own: no integrations, variables, names of hosts, lines of source.
            self._client = sdk.Client(
                dsn=dsn,
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                include_source_context=False,
                server_name="",
                release=code_name(),
            )
        except (sdk.utils.BadDsn, ValueError) as error:
            raise InvalidSettings("VOICESKETCH_SENTRY_DSN is no address of Sentry's kind.") from error
        self._part = part
        self._lock = threading.Lock()
        self._told: dict[tuple[object, ...], float] = {}
        atexit.register(self.close)

    def tell(self, event: str, error: BaseException, known: Mapping[str, Any]) -> None:
        frames = _frames(error)
        if self._was_told((event, type(error), tuple(frames[-1].items()) if frames else ())):
            return
        tags = {name: str(known[name]) for name in _IDS if known.get(name) is not None}
        if isinstance(error, VoicesketchError):
            tags["code"] = error.code
        self._client.capture_event(
            {
                "level": "error",
                "platform": "python",
                "transaction": event[:200],
                "tags": {"part": self._part, **tags},
                "exception": {
                    "values": [
                        {
                            "type": type(error).__qualname__,
                            "module": type(error).__module__,
                            "value": "",
                            "stacktrace": {"frames": frames},
                        }
                    ]
                },
            }
        )

    def close(self) -> None:
        self._client.close(timeout=_LAST_WORDS_SECONDS)

    def _was_told(self, what: tuple[object, ...]) -> bool:
        at = time.monotonic()
        with self._lock:
            last = self._told.get(what)
            if last is not None and at - last < _AGAIN_SECONDS:
                return True
            if len(self._told) >= _MOST_REMEMBERED:
                self._told.clear()
            self._told[what] = at
        return False


def make_hook(dsn: str, part: str) -> ErrorHook:
    """The hook for an address; one that tells nobody where there is none."""
    return SentryHook(dsn, part) if dsn else ErrorHook()


def _frames(error: BaseException) -> list[dict[str, Any]]:
    """Where it went through, outermost first: modules and functions, without what was in them."""
    frames = []
    for place in traceback.extract_tb(error.__traceback__):
        path = Path(place.filename)
        ours = path.is_relative_to(_CODE) and "site-packages" not in path.parts
        # A folder may be named after its user: of ours the path below the program, of others the last two parts.
        name = path.relative_to(_CODE) if ours else Path(*path.parts[-2:])
        frames.append(
            {"filename": name.as_posix(), "function": place.name, "lineno": place.lineno, "in_app": ours}
        )
    return frames
