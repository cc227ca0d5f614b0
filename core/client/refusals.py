"""What the service refuses, as the very error of `core/errors.py` that was raised over there, found by its code."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from core.errors import (
    Conflict,
    InvalidManifest,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Permanent,
    QuotaExceeded,
    Retryable,
    ServiceUnreachable,
    StorageUnavailable,
    TooLarge,
    VoicesketchError,
)

_BY_CODE: dict[str, type[VoicesketchError]] = {
    kind.code: kind
    for kind in (
        InvalidManifest,
        InvalidRequest,
        NotFound,
        NotAllowed,
        Conflict,
        TooLarge,
        QuotaExceeded,
        StorageUnavailable,
    )
}
_BY_STATUS: dict[int, type[VoicesketchError]] = {
    400: InvalidRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidRequest,
}


def told_beforehand(code: str | None, message: str) -> VoicesketchError:
    """The error that a request would meet, of which the service said before that it would be refused."""
    return _BY_CODE.get(str(code), Permanent)(message)


def refusal(answer: requests.Response, url: str) -> VoicesketchError:
    """The error behind an answer of 400 or more, by a service at `url`."""
    problem = _problem(answer)
    status = answer.status_code
    kind = _BY_CODE.get(str(problem.get("code"))) or _BY_STATUS.get(status)
    detail = str(problem.get("detail") or problem.get("title") or "")
    if status == HTTPStatus.UNAUTHORIZED:
        # A token was sent, whatever the service says to those who sent none.
        detail = f"The service at {url} does not know this token, or it has ended; make another one there."
    elif kind is NotAllowed and not detail:
        detail = f"The service at {url} does not accept this token for that."
    if kind is None:
        if status in (502, 503, 504):
            return unreachable(url)
        kind = Retryable if status >= 500 or status == 429 else Permanent
        detail = detail or f"The service at {url} answered {status} {answer.reason}."
    if kind is QuotaExceeded:
        return _quota(detail, problem.get("quota"))
    return kind(detail or None)


def unreachable(url: str, why: BaseException | None = None) -> ServiceUnreachable:
    """The error for a service at `url` of which no answer came.

    Args:
        why: what the library said; what it says of a certificate, a name or a time limit is told on.
    """
    sentence = f"No voicesketch answers at {url}; start one with: voicesketch up"
    for reason in _reasons(why):
        match reason:
            case ssl.SSLCertVerificationError():
                sentence = (
                    f"The certificate of {url} is not accepted here: {reason.verify_message}. An authority of your "
                    "own is named in SSL_CERT_FILE."
                )
                break
            case ssl.SSLError():
                sentence = f"What answers at {url} speaks no TLS that is understood here; check --url."
            case socket.gaierror():
                sentence = f"This machine knows no host {urlsplit(url).hostname!r}; check --url."
            case TimeoutError():
                sentence = f"Nothing at {url} answers in time; see whether it runs, and try again."
    return ServiceUnreachable(sentence)


def sent_on(url: str, answer: requests.Response) -> ServiceUnreachable:
    """The error for an address that sends whoever asks to another one, as http often does to https."""
    to = urlsplit(answer.headers.get("Location", ""))
    elsewhere = to.scheme in ("http", "https") and to.netloc and (to.scheme, to.netloc) != urlsplit(url)[:2]
    if not elsewhere:
        return unreachable(url)
    # Not followed: whoever answers there would get the token.
    return ServiceUnreachable(f"{url} sends on to {to.scheme}://{to.netloc}; give that address with --url.")


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what lies behind it; libraries hand the one on inside the other."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _quota(detail: str, told: Any) -> QuotaExceeded:
    if not isinstance(told, dict):
        return QuotaExceeded(detail or None)
    frees_at = told.get("frees_at")
    return QuotaExceeded(
        detail or None,
        limit=str(told.get("limit") or ""),
        most=int(told.get("most") or 0),
        used=int(told.get("used") or 0),
        wanted=int(told.get("wanted") or 0),
        frees_at=datetime.fromisoformat(frees_at) if frees_at else None,
    )


def _problem(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except (requests.RequestException, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
