"""How the client asks: addresses, time limits, threads, pages, and a token that stays at home."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar, cast
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from core.client.patience import PATIENCE, only_if_refused
from core.client.refusals import refusal, sent_on, unreachable
from core.errors import InvalidRequest, ServiceUnreachable

PREFIX = "/api/v1"
# A model of some gigabytes is passed on to the object store before the answer comes; a plan of a hundred thousand files
# takes a while.
LONG_TIMEOUTS = (5.0, 1800.0)
_TIMEOUTS = (5.0, 120.0)  # seconds to connect, seconds between two bytes
_READ_AT_ONCE = 256 * 1024
_ROWS_AT_ONCE = 100

Kind = TypeVar("Kind")


class Asking:
    """One service and one token. Safe to use from several threads."""

    def __init__(
        self, url: str, token: str, *, retries: Retry | None = None, ca_file: Path | None = None
    ) -> None:
        """Args:
        ca_file: certificates of the authorities that are believed, PEM; those of `certifi` where left out.
        """
        self.url = url.rstrip("/")
        self._believed: str | bool = True if ca_file is None else str(ca_file)
        self._origin = urlsplit(self.url)[:2]
        self._token = token
        self._retries = retries or PATIENCE
        self._threads = threading.local()

    def fetch(self, address: str, *, unless_sha256: str | None = None) -> bytes | None:
        """The bytes behind a link of ours; None where they are still those of `unless_sha256`."""
        headers = {"If-None-Match": f'"{unless_sha256}"'} if unless_sha256 else {}
        answer = self._ask("GET", address, headers=headers)
        return None if answer.status_code == 304 else answer.content

    def stream(self, address: str) -> Iterator[bytes]:
        """The bytes behind a link of ours, piece by piece."""
        return self._stream("GET", address)

    def _stream(self, method: str, address: str, **extra: Any) -> Iterator[bytes]:
        with self._ask(method, address, stream=True, **extra) as answer:
            try:
                yield from answer.iter_content(_READ_AT_ONCE)
            except requests.RequestException as error:
                raise unreachable(self.url) from error

    def _bytes(self, address: str, **wanted: Any) -> bytes:
        return self._ask("GET", address, params=given(wanted)).content

    def _read(self, kind: type[Kind], method: str, address: str, **extra: Any) -> Kind:
        """The answer, taken for what the API says that it is."""
        return cast(Kind, json_of(self._ask(method, address, **extra)))

    def _rows(
        self, address: str, limit: int, *, cursor: str = "before", at_once: int = _ROWS_AT_ONCE, **wanted: Any
    ) -> Iterator[Any]:
        """At most `limit` rows of a list, read page by page."""
        where: Any = None
        while limit > 0:
            asked = given({**wanted, "limit": min(limit, at_once), cursor: where})
            page = json_of(self._ask("GET", address, params=asked))
            yield from page["data"][:limit]
            limit -= len(page["data"])
            where = page.get("next")
            if where is None or not page["data"]:
                return

    def _send(self, address: str, file: IO[bytes], *, method: str = "PUT", **extra: Any) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        at = file.tell()
        is_empty = file.seek(0, os.SEEK_END) == at
        file.seek(at)
        # An empty file object would be sent without a length, and read by some servers for ever.
        return self._ask(method, address, data=b"" if is_empty else file, headers=headers, **extra)

    def _ask(self, method: str, address: str, *, once: bool = False, **extra: Any) -> requests.Response:
        """Asks.

        Args:
            once: it must not be done twice, so that it is not sent again where it may have been done.
        """
        url = urljoin(self.url + "/", address)
        if urlsplit(url)[:2] != self._origin:
            # The token is for one service; a link to anywhere else must not carry it away.
            raise InvalidRequest(f"The service sent a link to another place: {url}")
        extra.setdefault("timeout", _TIMEOUTS)
        try:
            answer = self._session(once).request(method, url, allow_redirects=False, **extra)
        except requests.RequestException as error:
            raise unreachable(self.url, error) from error
        if answer.status_code >= 400:
            with answer:
                raise refusal(answer, self.url)
        if answer.is_redirect:
            answer.close()
            raise sent_on(self.url, answer)
        return answer

    def _session(self, once: bool) -> requests.Session:
        # One for each thread: requests does not promise that a session may be shared.
        name = "once" if once else "often"
        session: requests.Session | None = getattr(self._threads, name, None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # neither ~/.netrc nor a proxy may come between us and the service
            session.verify = self._believed
            session.headers["Authorization"] = f"Bearer {self._token}"
            adapter = HTTPAdapter(max_retries=only_if_refused(self._retries) if once else self._retries)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            setattr(self._threads, name, session)
        return session


def place(*words: str | int) -> str:
    """The address of a thing; no word of it can leave its place."""
    return "/".join((PREFIX, *(quote(str(word), safe="") for word in words)))


def file_place(name: str, *words: str | int) -> str:
    """The address of a file below a thing, whose name may have folders in it."""
    return f"{place(*words)}/{quote(name)}"


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as a query has it."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None
    }


class Told(dict[str, Any]):
    """An object of an answer. What it lacks is told in a sentence: another program may answer there."""

    def __missing__(self, name: str) -> Any:
        raise ServiceUnreachable(
            f"What answers there says nothing of {name!r}: it is another version of voicesketch, or another program. "
            "Check --url, and bring both to one version."
        )


def json_of(answer: requests.Response) -> Any:
    """Raises:
    ServiceUnreachable: it is no JSON, or not that of an object.
    """
    try:
        told = answer.json(object_hook=Told)
    except requests.JSONDecodeError as error:
        raise _stranger(answer) from error
    if not isinstance(told, Told):
        raise _stranger(answer)
    return told


def _stranger(answer: requests.Response) -> ServiceUnreachable:
    return ServiceUnreachable(
        f"What answers at {answer.url} is no voicesketch; check --url, or start one with: voicesketch up"
    )
