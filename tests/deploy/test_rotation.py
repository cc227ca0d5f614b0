"""New secrets beside old ones: what lets in what, until the old ones are let go of."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from core.config import load_settings
from core.stack import binaries, ports
from core.stack.child import Child, Program
from core.stack.ports import LOOPBACK
from core.stack.valkey import answers_ping
from tests.conftest import REPOSITORY

_MAKE, _ROTATE = (REPOSITORY / "deploy" / name for name in ("make_secrets.sh", "rotate_secret.sh"))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    subprocess.run([_MAKE, folder], check=True, capture_output=True)
    return folder


def rotate(what: str, folder: Path) -> str:
    done = subprocess.run([_ROTATE, what, folder], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def broker_port() -> int:
    return ports.choose(["valkey"])["valkey"]


def broker_with(secrets: Path, port: int, folder: Path) -> Iterator[None]:
    """A server with the very file, at another port and in another folder."""
    file = folder / "valkey.conf"
    written = (secrets / "valkey_conf").read_text()
    written = written.replace("port 6379", f"port {port}\nbind {LOOPBACK}").replace(
        "dir /data", f"dir {folder}"
    )
    file.write_text(written)
    program = Program(
        name="valkey",
        title="Valkey",
        command=(str(binaries.valkey_server()), str(file)),
        folder=folder,
        log=folder / "valkey.log",
        environment={},
        is_ready=lambda: answers_ping(port, (secrets / "valkey_password").read_text()),
    )
    child = Child(program)
    child.start()
    try:
        child.wait_until_ready()
        yield
    finally:
        child.stop(5)


def test_the_broker_takes_both_passwords_until_the_old_one_is_let_go_of(
    secrets: Path, broker_port: int, tmp_path: Path
) -> None:
    def let_in() -> list[bool]:
        return [answers_ping(broker_port, password) for password in (old, new)]

    old = (secrets / "valkey_password").read_text()
    rotate("broker", secrets)
    new = (secrets / "valkey_password").read_text()
    assert old != new
    assert new in (secrets / "broker_url").read_text()
    for _ in broker_with(secrets, broker_port, tmp_path):
        assert let_in() == [True, True]
        client = redis.Redis(port=broker_port, username="voicesketch", password=new)
        with client, pytest.raises(redis.exceptions.NoPermissionError):
            client.flushall()
    rotate("finish", secrets)
    for _ in broker_with(secrets, broker_port, tmp_path):
        assert let_in() == [False, True]


def test_keys_of_the_store_and_of_sessions_stand_beside_the_old_ones_until_the_end(secrets: Path) -> None:
    def credentials() -> list[tuple[str, str]]:
        (identity,) = json.loads((secrets / "s3_identities").read_text())["identities"]
        return [(one["accessKey"], one["secretKey"]) for one in identity["credentials"]]

    (first,) = credentials()
    key = (secrets / "secret_key").read_text()
    rotate("s3", secrets)
    rotate("secret_key", secrets)
    used = ((secrets / "s3_access_key").read_text(), (secrets / "s3_secret_key").read_text())
    assert credentials() == [used, first]
    settings = load_settings(
        {
            "VOICESKETCH_DATABASE_URL": "sqlite://",
            "VOICESKETCH_BROKER_URL": "redis://",
            "VOICESKETCH_SECRET_KEY_FILE": str(secrets / "secret_key"),
        }
    )
    assert settings.secret_keys[1:] == [key]
    assert len(settings.secret_keys[0]) == 64
    rotate("secret_key", secrets)
    assert key not in (secrets / "secret_key").read_text(), "what leaked is gone when it is given twice"
    rotate("finish", secrets)
    assert credentials() == [used]
    assert len((secrets / "secret_key").read_text().split()) == 1


def test_the_password_of_the_database_comes_with_the_statement_that_changes_it(secrets: Path) -> None:
    statement = rotate("database", secrets)
    password = (secrets / "postgres_password").read_text()
    assert statement == f"ALTER ROLE voicesketch PASSWORD '{password}';\n"
    assert f":{password}@" in (secrets / "database_url").read_text()


def test_nothing_is_written_where_no_secrets_were_made_or_nothing_is_named(tmp_path: Path) -> None:
    for what in ("secret_key", "s3", "broker", "database", "finish", "", "all"):
        done = subprocess.run([_ROTATE, what, tmp_path], check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr
        assert list(tmp_path.iterdir()) == []
