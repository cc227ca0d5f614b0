"""One note to one address: signed, and sent to nobody but whom the address means in the open internet.

A schedule's address comes from a person, and the service stands where that person may not: beside databases, metadata
servers and other people's machines. So a host is resolved once, every address it has must be a public one, the
connection goes to one of these very addresses, and no redirect is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from core.errors import InvalidRequest

ID_HEADER = "X-Voicesketch-Delivery"
TIME_HEADER = "X-Voicesketch-Timestamp"
SIGNATURE_HEADER = "X-Voicesketch-Signature"
# A receiver refuses what is older: somebody who listened in must not send it again later.
REPLAY_WINDOW_SECONDS = 300
_CONNECT_SECONDS = 5.0
_WHOLE_SECONDS = 20.0
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Target:
    """Where a note goes: an address that was looked at, and the name it was found by."""

    address: str
    port: int
    host: str
    path: str
    encrypted: bool


@dataclass(frozen=True)
class Answer:
    """What came of sending a note.

    Attributes:
        delivered: the receiver answered with a status of 2xx.
        again: it makes sense to try once more, later.
        sentence: what happened.
    """

    delivered: bool
    again: bool
    sentence: str


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """`v1=` and the HMAC-SHA256 of `id.timestamp.body`, in hexadecimal digits."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify(secret: str, headers: Mapping[str, str], body: bytes, at: float) -> bool:
    """What a receiver does: whether a note is ours and of the last few minutes.

    Args:
        at: the receiver's time, in seconds since 1970.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIME_HEADER.lower(), "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(at - int(timestamp)) > REPLAY_WINDOW_SECONDS:
        return False
    wanted = sign(secret, given.get(ID_HEADER.lower(), ""), int(timestamp), body)
    return hmac.compare_digest(wanted, given.get(SIGNATURE_HEADER.lower(), ""))


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def find_target(url: str, *, private: bool, resolve: Resolve = resolve) -> Target:
    """The address that a URL means, once it has been looked at.

    Args:
        private: whether loopback, private and link-local addresses are allowed.

    Raises:
        InvalidRequest: it is no address of the kind that notes go to, or of a place they must not go to.
        OSError: the host cannot be resolved.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        # Names of a label that is empty or too long raise here already.
        name = host if ":" in host else host.encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise InvalidRequest(f"{url[:200]!r} is no address of a web server.") from error
    if parts.scheme not in _PORTS or not host:
        raise InvalidRequest(
            f"{url[:200]!r} is no address of a web server: it begins with https:// or http://."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidRequest(
            "An address of a webhook holds no user or password: the signature proves who sent it."
        )
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise InvalidRequest("An address of a webhook holds no blanks.")
    addresses = resolve(name, port)
    if not addresses:
        raise OSError(f"{host} has no address")
    for address in addresses:
        if not private and not _is_public(address):
            # Which address it was is not told: the answer must not be a map of our network.
            raise InvalidRequest(
                f"{host} is not in the open internet. Notes go to public addresses only "
                "(VOICESKETCH_WEBHOOKS_TO_PRIVATE allows others)."
            )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(
        addresses[0], port, name, path.encode("utf-8", "replace").decode("latin-1"), parts.scheme == "https"
    )


def check_url(url: str, *, private: bool, resolve: Resolve = resolve) -> None:
    """Looks at the address of a webhook before it is kept.

    Raises:
        InvalidRequest: it cannot be used, or its host is unknown.
    """
    try:
        find_target(url, private=private, resolve=resolve)
    except OSError as error:
        raise InvalidRequest(f"The host of {url[:200]!r} cannot be found. Check its name.") from error


def send(
    url: str,
    secret: str,
    delivery_id: str,
    body: bytes,
    *,
    timestamp: int,
    private: bool,
    resolve: Resolve = resolve,
) -> Answer:
    """Sends one note. Whatever goes wrong is told in the answer; it takes half a minute at most."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "voicesketch-webhooks/1",
        ID_HEADER: delivery_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secret, delivery_id, timestamp, body),
    }
    try:
        status = _post(find_target(url, private=private, resolve=resolve), headers, body)
    except InvalidRequest as error:
        return Answer(False, again=False, sentence=error.message)
    except ssl.SSLError as error:
        return Answer(False, again=True, sentence=f"No encrypted connection could be made: {error.reason}.")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(False, again=True, sentence=f"Nobody answered: {_plain(error)}.")
    if 200 <= status < 300:
        return Answer(True, again=False, sentence=f"It answered {status}.")
    if 300 <= status < 400:
        return Answer(
            False, again=False, sentence=f"It answered {status}; notes do not follow to other addresses."
        )
    return Answer(False, again=status in (408, 429) or status >= 500, sentence=f"It answered {status}.")


def _post(target: Target, headers: Mapping[str, str], body: bytes) -> int:
    with contextlib.ExitStack() as held:
        line = held.enter_context(
            socket.create_connection((target.address, target.port), timeout=_CONNECT_SECONDS)
        )
        line.settimeout(_WHOLE_SECONDS)
        connection = http.client.HTTPConnection(target.host, target.port)
        if target.encrypted:
            connection = http.client.HTTPSConnection(target.host, target.port)
            line = held.enter_context(_encrypted(line, target.host))
        # A receiver that sends a letter now and then must not hold us for ever.
        alarm = threading.Timer(_WHOLE_SECONDS, _hang_up, (line,))
        alarm.daemon = True
        alarm.start()
        held.callback(alarm.cancel)
        if isinstance(line, ssl.SSLSocket):
            line.do_handshake()
        connection.sock = line
        connection.request("POST", target.path, body=body, headers=dict(headers))
        return connection.getresponse().status


def _encrypted(line: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)  # some small images have none of their own
    return context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was over already
        line.shutdown(socket.SHUT_RDWR)


def _is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also where it carries another one in itself."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _plain(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    return (text[:1].lower() + text[1:]).rstrip(".")
