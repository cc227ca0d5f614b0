"""The dashboard behind a real nginx and a real Caddy, each with its file of deploy/proxy: what people and scripts do
works through them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from core.config import Settings, to_environment
from core.ledger.database import Database
from core.people.accounts import create_sign_in_link, ensure_admin, issue_token
from core.stack import ports
from core.store import Store
from tests.conftest import REPOSITORY
from tests.deploy.proxies import ONE, OTHER, PROXIES
from tests.factories import Ledger
from tests.ledgers import make_ledger

pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="openssl, for a certificate, is not installed"
    ),
]

_PATIENCE_SECONDS = 60


class From(HTTPAdapter):
    """Connects from one of the machine's addresses."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments: object, **more: object) -> None:
        super().init_poolmanager(*arguments, **more, source_address=(self.address, 0))  # type: ignore[arg-type]


class Behind:
    """A dashboard behind a proxy."""

    def __init__(self, settings: Settings, certificate: Path, plain_port: int) -> None:
        self.settings, self.certificate, self.plain_port = settings, certificate, plain_port
        self.database = Database(settings.database_url)

    def browser(self, address: str = ONE) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.certificate)
        session.mount("https://", From(address))
        return session

    def url(self, path: str) -> str:
        return self.settings.public_url + path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=faces", "-addext", f"subjectAltName=IP:{ONE}",
         "-keyout", folder / "key.pem", "-out", folder / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture(params=sorted(PROXIES))
def behind(
    request: pytest.FixtureRequest, sqlite_settings: Settings, certificate: Path, tmp_path: Path
) -> Iterator[Behind]:
    proxy = PROXIES[request.param]
    if shutil.which(proxy.program) is None:
        pytest.skip(f"{proxy.program} is not installed")
    chosen = ports.choose(["dashboard", "tls", "plain"])
    settings = sqlite_settings.model_copy(
        update={
            "public_url": f"https://{ONE}:{chosen['tls']}",
            "trusted_hosts": ONE,
            "trusted_proxies": 1,
            "sign_ins_per_minute": 4,
        }
    )
    make_ledger(settings.database_url)
    Store(settings).ensure_bucket()
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:dashboard.gunicorn_config",
        "dashboard.wsgi:app",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    with (tmp_path / "log").open("wb") as log:
        started = [
            subprocess.Popen(
                [*gunicorn, "-b", f"{ONE}:{chosen['dashboard']}"],
                cwd=tmp_path,
                env=environment | to_environment(settings),
                stderr=log,
            ),
            subprocess.Popen(
                proxy.command(tmp_path, certificate, chosen),
                cwd=tmp_path,
                env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
                stderr=log,
            ),
        ]
    made = Behind(settings, certificate / "fullchain.pem", chosen["plain"])
    try:
        wait_for(made, tmp_path / "log")
        yield made
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(_PATIENCE_SECONDS)
        made.database.dispose()


def wait_for(behind: Behind, log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if behind.browser().get(behind.url("/healthz"), timeout=20).status_code == 200:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


def test_people_sign_in_watch_and_send_large_files_through_the_proxy(behind: Behind) -> None:
    browser = behind.browser()
    with behind.database.write() as session:
        admin = ensure_admin(session)
        link = create_sign_in_link(session, admin, behind.settings.public_url)
        token = issue_token(session, admin, "tests")

    # Plain HTTP leads to TLS, with its path.
    plain = browser.get(f"http://{ONE}:{behind.plain_port}/jobs?state=queued", allow_redirects=False)
    assert (plain.status_code, plain.headers["Location"]) == (308, behind.url("/jobs?state=queued"))

    # Signing in: the dashboard knows its own name and scheme, and its cookie is for TLS alone.
    assert link.startswith(behind.settings.public_url)
    page = browser.get(link, timeout=30)
    given = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert given is not None, page.text
    answer = browser.post(
        link, data={"csrf_token": given[1]}, headers={"Origin": behind.settings.public_url}, timeout=30
    )
    assert (answer.status_code, answer.url) == (200, behind.url("/jobs"))
    assert [cookie.secure for cookie in browser.cookies] == [True]
    assert answer.headers["Strict-Transport-Security"]

    # A large file arrives as it was sent, longer than any default of theirs allows.
    content = random.Random(7).randbytes(24 * 2**20)
    bearer = {"Authorization": f"Bearer {token}"}
    sent = requests.put(
        behind.url("/api/v1/recordings"),
        data=content,
        headers=bearer,
        verify=str(behind.certificate),
        timeout=60,
    )
    assert (sent.status_code, sent.json()["recording"]) == (201, hashlib.sha256(content).hexdigest())

    # News of a job come while the stream is open: nothing ends it, and nothing more is sent until somebody acts.
    job_id = Ledger(behind.database, {"ada": admin}).job(2)
    with browser.get(behind.url(f"/api/v1/jobs/{job_id}/events"), stream=True, timeout=30) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert next_job(lines)["state"] == "queued"
        paused = requests.post(
            behind.url(f"/api/v1/jobs/{job_id}/pause"),
            headers=bearer,
            verify=str(behind.certificate),
            timeout=30,
        )
        assert paused.status_code == 200
        assert next_job(lines)["state"] == "paused"

    # Each address has a limit of its own, and nobody gets another one by saying that they are somebody else.
    def tries(address: str, saying: str) -> int:
        guesser = behind.browser(address)
        page = guesser.get(behind.url("/sign-in"), timeout=30).text
        carried = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert carried is not None
        return guesser.post(
            behind.url("/sign-in"),
            data={"csrf_token": carried[1], "name": "eve", "password": "a guess"},
            headers={"X-Forwarded-For": saying},
            timeout=30,
        ).status_code

    statuses = [tries(ONE, f"203.0.113.{number}") for number in range(6)]
    assert statuses[-1] == 429, statuses
    assert tries(OTHER, "") != 429

    # What is for those within stays within.
    for address, status in ((ONE, 200), (OTHER, 403)):
        told = behind.browser(address).get(behind.url("/metrics"), headers=bearer, timeout=30)
        assert told.status_code == status, address


def next_job(lines: Iterator[str]) -> dict[str, str]:
    """The next event about the job itself."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: ") and name == "job":
            told: dict[str, str] = json.loads(line.removeprefix("data: "))
            return told
    raise AssertionError("the stream ended")
