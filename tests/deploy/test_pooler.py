"""The whole service through a real PgBouncer with the file of deploy/pooler: each transaction gets a connection."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import make_url, text

from core.bootstrap import prepare
from core.client import Client
from core.config import BUNDLED_WEIGHTS, Settings, to_environment
from core.errors import InvalidSettings, VoicesketchError
from core.ledger.database import Database
from core.people.accounts import ensure_admin, issue_token
from core.stack import ports
from core.submitting.submission import download, submit, wait
from tests.conftest import REPOSITORY, settings_for
from tests.servers import ObjectStore, Postgres

pytestmark = [
    pytest.mark.stack,
    pytest.mark.soak,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed"),
]
FILE = REPOSITORY / "deploy" / "pooler" / "pgbouncer.ini"
_PATIENCE_SECONDS = 90
# Fewer than the processes below hold by themselves, so that they have to share.
_CONNECTIONS = 3


@dataclass(frozen=True)
class Pooled:
    direct: str  # the address past it
    url: str
    port: int

    def told(self, what: str) -> list[dict[str, object]]:
        """What PgBouncer says of itself."""
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=pgbouncer"
        with psycopg.connect(address, autocommit=True, row_factory=dict_row) as console:
            return console.execute(f"SHOW {what}").fetchall()  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def pooled(postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pooled]:
    """As the file says; with the parameter `session`, every client has a connection of its own."""
    with postgres.database() as direct, ExitStack() as stack:
        there = make_url(direct)
        port = ports.choose(["pgbouncer"])["pgbouncer"]
        (tmp_path / "userlist.txt").write_text('"postgres" ""\n')
        file = tmp_path / "pgbouncer.ini"
        written = written_for(str(there.query["host"]), str(there.database), port, tmp_path)
        if getattr(request, "param", "") == "session":
            written = written.replace("pool_mode = transaction", "pool_mode = session")
            written = written.replace(f"default_pool_size = {_CONNECTIONS}", "default_pool_size = 20")
        file.write_text(written)
        # Root, as whom it refuses to run, becomes whoever may reach the server's socket.
        owner = Path(str(there.query["host"])).stat().st_uid if os.geteuid() == 0 else None
        for above in (tmp_path, *tmp_path.parents[:2]) if owner is not None else ():
            above.chmod(above.stat().st_mode | 0o011)
        with (tmp_path / "pgbouncer.log").open("wb") as log:
            running = subprocess.Popen(["pgbouncer", file], user=owner, group=owner, stdout=log, stderr=log)
        stack.callback(ended, running)
        url = there.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        made = Pooled(direct, url, port)
        until(lambda: ports.answers(port), running, tmp_path / "pgbouncer.log")
        yield made


def written_for(server: str, name: str, port: int, folder: Path) -> str:
    """The file as it is, but for places, few connections, and a server that asks nobody for a password."""
    text = FILE.read_text()
    for there, here in (
        (
            "voicesketch = host=127.0.0.1 port=5432 dbname=voicesketch",
            f"{name} = host={server} dbname={name}",
        ),
        ("listen_port = 6432", f"listen_port = {port}\nunix_socket_dir ="),
        ("auth_type = scram-sha-256", "auth_type = trust"),
        ("/etc/pgbouncer/userlist.txt", f"{folder}/userlist.txt"),
        ("stats_users = voicesketch", "stats_users = postgres"),
        ("default_pool_size = 40", f"default_pool_size = {_CONNECTIONS}"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    return text


def ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(reached: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not reached():
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


@pytest.fixture
def settings(pooled: Pooled, broker_url: str, object_store: ObjectStore) -> Settings:
    port = ports.choose(["dashboard"])["dashboard"]
    given = settings_for(pooled.url, broker_url, object_store)
    return given.model_copy(update={"public_url": f"http://127.0.0.1:{port}"})


def test_the_preparation_is_sent_past_it_and_leaves_no_lock_behind(
    pooled: Pooled, settings: Settings
) -> None:
    with pytest.raises(InvalidSettings, match="PostgreSQL itself"):
        prepare(settings)
    with psycopg.connect(pooled.direct.replace("+psycopg", "")) as connection:
        locks = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locks == (0,)
    prepare(settings.model_copy(update={"database_url": pooled.direct}))


@pytest.mark.parametrize("pooled", ["session"], indirect=True)
def test_where_a_connection_is_ones_own_the_preparation_may_go_through(
    pooled: Pooled, settings: Settings
) -> None:
    prepare(settings)
    prepare(settings)
    assert {one["pool_mode"] for one in pooled.told("POOLS") if one["database"] != "pgbouncer"} == {"session"}


def test_many_statements_at_once_share_few_connections(pooled: Pooled) -> None:
    database = Database(pooled.url, for_requests=True)

    def ask(number: int) -> int:
        with database.read() as session:
            return sum(
                session.scalar(text("SELECT CAST(:given AS integer)"), {"given": number}) or 0
                for _ in range(9)
            )

    # More often than a statement is asked before the driver would have it prepared.
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(200))) == [9 * number for number in range(200)]
    (mine,) = [one for one in pooled.told("POOLS") if one["database"] != "pgbouncer"]
    assert mine["pool_mode"] == "transaction"
    servers = [one for one in pooled.told("SERVERS") if one["database"] == mine["database"]]
    assert 1 <= len(servers) <= _CONNECTIONS
    database.dispose()


def test_recordings_become_faces_while_everybody_goes_through_it(
    pooled: Pooled, settings: Settings, tmp_path: Path
) -> None:
    if not (BUNDLED_WEIGHTS / "config.json").exists():
        pytest.skip(f"there is no model in {BUNDLED_WEIGHTS.name}/ yet")
    prepare(settings.model_copy(update={"database_url": pooled.direct}))
    database = Database(settings.database_url)
    with database.write() as session:
        token = issue_token(session, ensure_admin(session), "through a pooler")
    bind = settings.public_url.removeprefix("http://")
    commands = {
        "dashboard": ["gunicorn", "-c", "python:dashboard.gunicorn_config", "-b", bind, "dashboard.wsgi:app"],
        "ticker": ["core.ticker"],
        "worker": [
            "celery",
            "-A",
            "worker.app",
            "worker",
            "-Q",
            "gpu",
            "-n",
            "pooled@%h",
            "--loglevel",
            "INFO",
        ],
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        **to_environment(settings.model_copy(update={"cache_folder": tmp_path / "cache"})),
    }
    with ExitStack() as stack:
        running = {}
        for name, command in commands.items():
            with (tmp_path / f"{name}.log").open("wb") as log:
                running[name] = subprocess.Popen(
                    [sys.executable, "-m", *command], cwd=tmp_path, env=environment, stdout=log, stderr=log
                )
            stack.callback(ended, running[name])
        client = Client(settings.public_url, token)

        def is_up() -> bool:
            with suppress(VoicesketchError, OSError):
                return bool(client.health())
            return False

        until(is_up, running["dashboard"], tmp_path / "dashboard.log")
        job, _ = submit(client, sorted((REPOSITORY / "samples").glob("*.flac"))[:4], name="through a pooler")
        done = wait(client, job.id, patience_seconds=_PATIENCE_SECONDS)
        assert done.with_face == done.total == 4, done
        assert download(client, job.id, tmp_path / "faces").faces == 4

        (pool,) = [one for one in pooled.told("POOLS") if one["database"] != "pgbouncer"]
        clients = [one for one in pooled.told("CLIENTS") if one["database"] == pool["database"]]
        servers = [one for one in pooled.told("SERVERS") if one["database"] == pool["database"]]
        assert len(servers) <= _CONNECTIONS < len(clients)
    database.dispose()
    for name in commands:
        log_text = (tmp_path / f"{name}.log").read_text(errors="replace")
        assert not re.search(r"prepared statement|Traceback|DuplicatePreparedStatement", log_text), log_text[
            -3000:
        ]
