"""How often and how long the client tries again."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError
from urllib3.util.retry import Retry

# Rates are counted by the minute; whoever is told to stay away for longer had better hear of it.
LONGEST_WAIT_SECONDS = 60.0


class Patience(Retry):
    """Waits as long as `Retry-After` of a 429 or 503 says, unless that is longer than a minute."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        wait = self.get_retry_after(response) if response is not None else None
        if wait is not None and wait > LONGEST_WAIT_SECONDS and _pool is not None:
            raise MaxRetryError(_pool, url or "", ResponseError(f"asked to wait {wait:.0f} s"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


# A restart of the service answers 502 to 504 for a moment; five tries in 4.5 s ride over it.
PATIENCE = Patience(
    total=5,
    read=2,
    backoff_factor=0.3,
    status_forcelist=(502, 503, 504),
    # Nearly every change of ours may be sent twice: uploads by content, jobs by their key, moves by their state.
    allowed_methods=None,
    raise_on_status=False,
)


def only_if_refused(patience: Retry) -> Retry:
    """For what must not be done twice: tried again only where it certainly was not done."""
    return patience.new(read=0, status_forcelist=(503,))
