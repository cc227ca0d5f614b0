"""A dashboard with nothing behind it but an empty ledger: enough to ask it what it offers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from pydantic import SecretStr

from core.config import Settings
from dashboard.app import create_app


def empty_settings(folder: Path) -> Settings:
    """Addresses at which nobody answers, and a ledger in a folder."""
    return Settings(
        database_url=f"sqlite+pysqlite:///{folder / 'ledger.sqlite3'}",
        broker_url=SecretStr("redis://127.0.0.1:1"),
        s3_endpoint_url="http://127.0.0.1:1",
        s3_bucket="none",
        s3_access_key=SecretStr("none"),
        s3_secret_key=SecretStr("none"),
        secret_key=SecretStr("only-for-the-reference-" * 2),
    )


@contextmanager
def no_service() -> Iterator[Flask]:
    """The app, for as long as it is asked."""
    with tempfile.TemporaryDirectory() as folder:
        yield create_app(empty_settings(Path(folder)))
