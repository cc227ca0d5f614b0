"""What a request works with. Built once by the factory, found through the running app, never through a global."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from core.config import Settings
from core.ledger.database import Database
from core.people.quotas import enforce
from core.store import Store

_NAME = "voicesketch"


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    store: Store


def services() -> Services:
    """The services of the app that answers this request."""
    found: Services = current_app.extensions[_NAME]
    return found


def attach(extensions: dict[str, object], made: Services) -> None:
    """Raises:
    InvalidSettings: the limits of roles cannot be read.
    """
    enforce(made.database, made.settings)
    extensions[_NAME] = made
