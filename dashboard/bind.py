"""Where the dashboard may listen. Beyond this machine only once somebody can sign in with a password."""

from __future__ import annotations

import ipaddress

from core.config import Settings
from core.errors import InvalidSettings
from core.ledger.database import Database
from core.people.accounts import count_users_who_can_sign_in


def check_bind(host: str, settings: Settings, database: Database) -> None:
    """Refuses an address that other machines can reach while nobody has a password.

    Args:
        host: as gunicorn is given it; empty means every interface.

    Raises:
        InvalidSettings: saying what to do instead.
    """
    if is_loopback(host):
        return
    with database.read() as session:
        if count_users_who_can_sign_in(session):
            return
    raise InvalidSettings(
        f"The dashboard will not listen on {host or 'every interface'}: other machines could reach it, and no user "
        f"has a password yet. Listen on 127.0.0.1 (people reach it at {settings.public_url}), "
        "or give a user a password first."
    )


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.startswith(("unix:", "/")):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
