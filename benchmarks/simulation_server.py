"""The PostgreSQL server of `benchmarks.simulation`: with settings as a place of that size has."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import psycopg

from core.bootstrap import migrate
from tests.servers import Postgres

# What differs from the server's own defaults. Every commit is on disk before it is told.
SETTINGS: dict[str, str] = {
    "max_connections": "1000",
    "shared_buffers": "2GB",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "512MB",
    "track_io_timing": "on",
    "shared_preload_libraries": "pg_stat_statements",
}
_STOP_SECONDS = 120.0


class Server(Postgres):
    """A server that can be given settings which need a start."""

    def configure(self, settings: Mapping[str, str]) -> None:
        """Sets them and starts the server again."""
        for name, value in settings.items():
            self._execute(f"ALTER SYSTEM SET {name} = '{value}'")
        pid = self._server.get_pid()
        assert pid is not None
        first = psutil.Process(pid)
        first.send_signal(signal.SIGINT)  # "fast": connections are ended, everything is written down
        first.wait(_STOP_SECONDS)
        self.start()


@contextmanager
def fresh_server(folder: Path | None, settings: Mapping[str, str]) -> Iterator[str]:
    """The address of an empty ledger on a server of its own; nothing is left of it afterwards."""
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="voicesketch-simulation-", dir=folder))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        server = Server(place / "postgresql", safe=True)
        stack.callback(server.stop)
        server.configure({**SETTINGS, **settings})
        url = stack.enter_context(server.database())
        migrate(url)
        with connected(url) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        yield url


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    """A connection of its own, on which every statement is a transaction."""
    with psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        autocommit=True,
        application_name="simulation",
    ) as connection:
        yield connection


def processor_seconds(connection: psycopg.Connection) -> float:
    """Of the server on this machine behind a connection, with all its processes, those that have ended included."""
    first = psutil.Process(connection.info.backend_pid).parent()
    assert first is not None
    times = first.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in first.children(recursive=True):
        try:
            spent = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return float(total)
