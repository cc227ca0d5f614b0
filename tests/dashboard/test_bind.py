"""Where the dashboard agrees to listen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.config import to_environment
from core.errors import InvalidSettings
from core.ledger.tables import User
from core.people.accounts import Role
from dashboard.bind import check_bind
from tests.dashboard.conftest import Place


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "unix:/run/x.sock"])
def test_this_machine_alone_is_always_fine(sqlite_place: Place, host: str) -> None:
    check_bind(host, sqlite_place.settings, sqlite_place.database)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "[::]", "192.168.1.7", "faces.example"])
def test_beyond_this_machine_somebody_must_have_a_password(sqlite_place: Place, host: str) -> None:
    with pytest.raises(InvalidSettings, match="password"):
        check_bind(host, sqlite_place.settings, sqlite_place.database)
    user = sqlite_place.user("ada", Role.ADMIN)
    with sqlite_place.database.write() as session:
        found = session.get(User, user.id)
        assert found is not None
        found.password_hash = "$argon2id$..."
    check_bind(host, sqlite_place.settings, sqlite_place.database)


def test_gunicorn_ends_with_one_sentence_instead_of_listening(sqlite_place: Place) -> None:
    command = ("gunicorn", "-c", "python:dashboard.gunicorn_config", "-b", "0.0.0.0:0", "dashboard.wsgi:app")
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **to_environment(sqlite_place.settings)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert ended.stderr.startswith("The dashboard will not listen on 0.0.0.0")
    assert "Traceback" not in ended.stderr
