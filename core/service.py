"""Which service a command talks to: the one that was named, else the one whose data folder is here."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from core.client import Client
from core.errors import InvalidRequest, ServiceUnreachable

DEFAULT_DATA = Path("voicesketch-data")
CLIENT_FILE = "client.json"


def find_service(
    *,
    url: str | None = None,
    token: str | None = None,
    data: Path | None = None,
    ca_file: Path | None = None,
) -> Client:
    """Makes the client: by address and token, else by what `voicesketch up` wrote into its data folder.

    Args:
        url: address of the service; an empty one counts as none.
        token: goes with the address. Without one, the local stack's is used if the address is its own.
        data: data folder of a local stack.
        ca_file: authorities to believe, PEM; the usual ones where left out.

    Raises:
        InvalidRequest: what is no address, one without its token, or no such file.
        ServiceUnreachable: no service was named and none was ever started here.
    """
    folder = data or DEFAULT_DATA
    here = _local(folder)
    if url:
        _check(url, ca_file)
        if not token and here and here[0].rstrip("/") == url.rstrip("/"):
            token = here[1]
        if not token:
            raise InvalidRequest(f"{url} needs a token: give --token or set VOICESKETCH_TOKEN.")
        return Client(url, token, ca_file=ca_file)
    if here is None:
        raise ServiceUnreachable(
            f"No voicesketch answers at {folder}: nothing was started there; start one with: voicesketch up"
        )
    return Client(here[0], token or here[1])


def _check(url: str, ca_file: Path | None) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that stays open
        usable = False
    if not usable:
        raise InvalidRequest(f"{url!r} is no address of a service: give one such as http://127.0.0.1:8000.")
    if parts.scheme == "https" and ca_file is not None and not ca_file.exists():
        raise InvalidRequest(
            f"There is no file {str(ca_file)!r} of certificates, which SSL_CERT_FILE or its like names."
        )


def _local(folder: Path) -> tuple[str, str] | None:
    path = folder / CLIENT_FILE
    try:
        written = json.loads(path.read_text("utf-8"))
        return str(written["url"]), str(written["token"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(
            f"{path} cannot be read ({error}); `voicesketch up` writes it anew, or give --url and --token."
        ) from error
