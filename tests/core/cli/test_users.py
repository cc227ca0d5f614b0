"""`voicesketch users` on a data folder, without a running service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from core.cli.users import app
from core.ledger.database import Database
from core.ledger.schema_fit import known_revisions
from core.people.accounts import ensure_admin, redeem_sign_in_link, user_of_token
from tests.ledgers import make_ledger


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("VOICESKETCH_DATABASE_URL", raising=False)
    make_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    (tmp_path / "client.json").write_text(json.dumps({"url": "http://127.0.0.1:8000", "token": "x"}))
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with database.write() as session:
        ensure_admin(session)
    database.dispose()
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, list(arguments))
    return outcome.exit_code, outcome.output.strip()


def test_somebody_who_is_added_gets_a_link_that_signs_them_in(data: Path) -> None:
    code, link = run("add", "Grace", "--role", "submitter", "--data", str(data))
    assert code == 0
    assert link.startswith("http://127.0.0.1:8000/sign-in/")
    database = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    with database.write() as session:
        assert redeem_sign_in_link(session, link.rsplit("/", 1)[-1]).name == "Grace"
    database.dispose()
    code, listed = run("list", "--json", "--data", str(data))
    assert [(user["name"], user["role"]) for user in json.loads(listed)] == [
        ("admin", "admin"),
        ("Grace", "submitter"),
    ]


def test_a_token_for_scripts_is_its_users(data: Path) -> None:
    code, token = run("token", "admin", "--data", str(data))
    assert code == 0
    database = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    with database.read() as session:
        user = user_of_token(session, token)
    database.dispose()
    assert user is not None and user.name == "admin"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "Grace", "--role", "king"), "take one of: viewer, submitter, operator, admin"),
        (("add", "admin"), "already a user 'admin'"),
        (("add", "a\nb"), "is one line"),
        (("link", "nobody"), "There is no user 'nobody'"),
        (("token", "nobody"), "There is no user 'nobody'"),
    ],
)
def test_what_cannot_be_is_one_sentence(data: Path, arguments: tuple[str, ...], sentence: str) -> None:
    code, output = run(*arguments, "--data", str(data))
    assert code == 2
    assert sentence in output


def test_a_folder_without_a_ledger_says_how_to_make_one(tmp_path: Path) -> None:
    code, output = run("list", "--data", str(tmp_path))
    assert code == 2
    assert "voicesketch up --data" in output


def test_a_ledger_of_an_earlier_version_says_what_to_do(data: Path) -> None:
    database = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    with database.write() as session:
        session.execute(
            text("UPDATE alembic_version SET version_num = :first"), {"first": known_revisions()[0]}
        )
    database.dispose()
    code, output = run("list", "--data", str(data))
    assert (code, output) == (
        2,
        f"The ledger lacks tables of this version. Make it ready first: voicesketch up --data {data}",
    )


def test_what_is_no_ledger_or_has_no_dashboard_is_one_sentence(data: Path) -> None:
    (data / "client.json").unlink()
    code, output = run("link", "--data", str(data))
    assert code == 2
    assert output.endswith(f"A start writes it anew: voicesketch up --data {data}")
    (data / "client.json").write_text('{"url": "http://127.0.0.1:1", "token": "x"}')
    (data / "ledger.sqlite3").write_bytes(b"something else altogether" * 100)
    code, output = run("list", "--data", str(data))
    assert (code, output) == (
        3,
        "The ledger cannot be used: file is not a database. What is wrong there: voicesketch doctor",
    )


def test_the_address_of_the_ledger_may_lie_in_a_file(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "address").write_text(f"sqlite:///{data / 'ledger.sqlite3'}\n")
    settings = {"DATABASE_URL_FILE": str(data / "address"), "BROKER_URL": "redis://127.0.0.1:1/0"}
    settings |= {
        "S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "SECRET_KEY": "k" * 64,
        "PUBLIC_URL": "https://faces.example",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"VOICESKETCH_{name}", value)
    code, link = run("link", "--data", str(data / "nothing here"))
    assert (code, link.partition("/sign-in/")[0]) == (0, "https://faces.example")


def test_an_address_of_no_database_or_of_one_that_is_away_is_one_sentence(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "BROKER_URL": "redis://127.0.0.1:1/0",
        "S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "SECRET_KEY": "k" * 64,
    }
    for name, value in {**settings, "PUBLIC_URL": "https://faces.example"}.items():
        monkeypatch.setenv(f"VOICESKETCH_{name}", value)
    monkeypatch.setenv("VOICESKETCH_DATABASE_URL", "nonsense")
    code, output = run("list")
    assert code == 3
    assert output.startswith("VOICESKETCH_DATABASE_URL is no address of a database, such as postgresql://")
    monkeypatch.setenv("VOICESKETCH_DATABASE_URL", "postgresql://somebody:secret@127.0.0.1:1/faces")
    code, output = run("list")
    assert code == 3
    assert output.startswith("The ledger cannot be used: ")
    assert "\n" not in output and "secret" not in output


def test_a_password_from_standard_input_signs_in(data: Path) -> None:
    from core.ledger.database import Database
    from core.people.passwords import sign_in_by_password

    options = ["--data", str(data)]
    short = CliRunner().invoke(app, ["password", "--stdin", *options], input="short\n")
    assert short.exit_code == 2
    done = CliRunner().invoke(app, ["password", "--stdin", *options], input="four plain words here\n")
    assert done.exit_code == 0, done.output
    database = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    assert sign_in_by_password(database, "admin", "four plain words here").role == "admin"
    database.dispose()
