"""A place with a ledger, a store, a model and people, and browsers and scripts that come to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from werkzeug.test import TestResponse

from core.config import Settings
from core.ledger.database import Database, now
from core.ledger.tables import Alias, ModelVersion, User
from core.people.accounts import Role, create_sign_in_link, create_user, issue_token
from core.store import Store
from dashboard.app import create_app
from dashboard.services import services
from tests.conftest import settings_for
from tests.fakes import FakeWorker
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

SOUND = b"fLaC" + bytes(range(256)) * 8


class Client(FlaskClient):
    """Reads and closes every answer, as a server does, unless asked to leave it open."""

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **kwargs)


@dataclass
class Script:
    """Somebody with a token."""

    app: OpenAPI
    token: str

    def ask(self, method: str, path: str, **extra: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **extra.pop("headers", {})}
        return self.app.test_client().open(path, method=method, headers=headers, **extra)

    def get(self, path: str, **extra: Any) -> TestResponse:
        return self.ask("GET", path, **extra)

    def post(self, path: str, **extra: Any) -> TestResponse:
        return self.ask("POST", path, **extra)

    def send(self, content: bytes = SOUND) -> str:
        answer = self.ask("PUT", "/api/v1/recordings", data=content)
        assert answer.status_code == 201, answer.text
        return str(answer.json["recording"])

    def submit(self, items: list[dict[str, Any]], **extra: Any) -> TestResponse:
        headers = extra.pop("headers", {})
        return self.post("/api/v1/jobs", json={"items": items, **extra}, headers=headers)

    def job(self, count: int = 3, **extra: Any) -> str:
        """A job over that many different recordings; answers its id."""
        items = [
            {"key": f"line {n}", "name": f"voice {n}.flac", "recording": self.send(SOUND + bytes([n]))}
            for n in range(count)
        ]
        answer = self.submit(items, **extra)
        assert answer.status_code == 201, answer.text
        return str(answer.json["id"])


@dataclass
class Place:
    """The whole dashboard on real servers."""

    app: OpenAPI
    settings: Settings
    database: Database
    store: Store
    users: dict[str, User] = field(default_factory=dict)

    def user(self, name: str, role: Role = Role.SUBMITTER) -> User:
        if name not in self.users:
            with self.database.write() as session:
                self.users[name] = create_user(session, name, role)
        return self.users[name]

    def script(self, name: str = "ada", role: Role = Role.SUBMITTER) -> Script:
        user = self.user(name, role)
        with self.database.write() as session:
            return Script(self.app, issue_token(session, user, "tests"))

    def link(self, name: str = "ada", role: Role = Role.SUBMITTER) -> str:
        """The path of a fresh sign-in link."""
        user = self.user(name, role)
        with self.database.write() as session:
            return create_sign_in_link(session, user, "")

    def browser(self, name: str = "ada", role: Role = Role.SUBMITTER) -> Browser:
        browser = Browser(self.app)
        link = self.link(name, role)
        browser.get(link)
        assert browser.post(link).status_code == 303
        browser.get("/jobs")  # the token of the new session
        return browser

    def worker(self, **extra: Any) -> FakeWorker:
        return FakeWorker(self.settings, self.database, self.store, **extra)


class Browser:
    """Somebody with a session cookie, who sends the token of the page as its forms do."""

    def __init__(self, app: OpenAPI) -> None:
        self.client = app.test_client()
        self.csrf = ""

    def get(self, path: str, **extra: Any) -> TestResponse:
        answer = self.client.get(path, **extra)
        if answer.mimetype == "text/html" and (
            found := re.search(r'name="csrf" content="([^"]+)"', answer.text)
        ):
            self.csrf = found[1]
        return answer

    def post(self, path: str, **fields: str) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.csrf, **fields})


def make_place(settings: Settings) -> Place:
    """An app over an empty ledger and an empty bucket, with one model to ask for."""
    app = create_app(settings)
    app.test_client_class = Client
    with app.app_context():
        here = services()
    here.store.ensure_bucket()
    with here.database.write() as session:
        model = ModelVersion(
            id="model_default_1",
            name="default",
            version=1,
            sha256="0" * 64,
            files=[],
            config={},
            created_at=now(session),
        )
        session.add(model)
        session.flush()
        session.add(Alias(name="production", model_version_id=model.id, moved_at=now(session)))
    return Place(app, settings, here.database, here.store)


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    """Runs once on each kind of database."""
    make_ledger(settings.database_url)
    made = make_place(settings)
    yield made
    made.database.dispose()


@pytest.fixture
def sqlite_place(sqlite_database_url: str, object_store: ObjectStore) -> Iterator[Place]:
    """For what does not depend on the database."""
    settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store)
    make_ledger(settings.database_url)
    made = make_place(settings)
    yield made
    made.database.dispose()
