"""The options by which every command finds its service. Environment variables enter here, with the entry point."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from core.client import Client

Data = Annotated[
    Path | None,
    typer.Option(
        help="Data folder of a stack on this machine.",
        envvar="VOICESKETCH_DATA",
        show_default="./voicesketch-data",
        metavar="DIR",
    ),
]
Url = Annotated[
    str | None, typer.Option(help="Address of a service elsewhere.", envvar="VOICESKETCH_URL", metavar="URL")
]
Token = Annotated[
    str | None,
    typer.Option(help="Your token for it.", envvar="VOICESKETCH_TOKEN", metavar="TOKEN", show_envvar=True),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its form is stable.")]


def connect(url: str | None, token: str | None, data: Path | None) -> Client:
    """The service these options mean."""
    from core.service import find_service

    # As curl, OpenSSL and requests call it: for services whose certificate is of an authority of one's own.
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    ca_file = next((Path(os.environ[name]) for name in names if os.environ.get(name)), None)
    return find_service(url=url, token=token, data=data, ca_file=ca_file)
