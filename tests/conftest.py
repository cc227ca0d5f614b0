"""Fixtures shared by all tests: real servers, and settings that point at them."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from core.config import Settings
from core.errors import NotFound
from core.people import passwords
from core.stack import seaweed
from core.store import Store
from tests import distribution
from tests.library_caches import keep_what_is_always_the_same
from tests.servers import Broker, ObjectStore, Postgres, start_seaweed, start_valkey

REPOSITORY = Path(__file__).resolve().parent.parent
_FEW_OBJECTS = 1000

if "PYTEST_XDIST_WORKER" in os.environ:
    # Every core has a process of its own then. Said before anybody imports torch, and heard by child processes too.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A run starts hundreds of programs, and each would compile everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

keep_what_is_always_the_same()
# In earnest a password takes a tenth of a second and 64 MiB to hash, on purpose.
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        distribution.put_in_order(items, REPOSITORY)


def pytest_collection_finish() -> None:
    # A million objects that stay to the end; to walk through them again and again is a tenth of all work.
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> distribution.WaitingBeside | None:
    return distribution.scheduler(config, log)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The session's Valkey. Tests that stop or kill it start their own with `tests.servers.start_valkey`."""
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.child.stop(5)


@pytest.fixture
def broker_url(broker: Broker) -> str:
    """The address of an empty broker."""
    broker.clear()
    return broker.url


@pytest.fixture(scope="session")
def object_store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    server = start_seaweed(tmp_path_factory.mktemp("seaweedfs"))
    yield server
    server.child.kill()  # asked to end it takes ten seconds, and nobody needs its data
    seaweed.remove_sockets(server.ports)


@pytest.fixture(scope="session")
def its_owner(object_store_server: ObjectStore) -> Store:
    return Store(settings_for("", "", object_store_server))


@pytest.fixture(scope="session")
def empty_buckets() -> list[ObjectStore]:
    """Those that earlier tests had. The first object of a new bucket waits 0.2 s for room to be made."""
    return []


@pytest.fixture
def object_store(
    object_store_server: ObjectStore, its_owner: Store, empty_buckets: list[ObjectStore]
) -> Iterator[ObjectStore]:
    """The session's S3 server, with the name of a bucket that is empty or does not exist yet.

    Who changes the settings of a bucket takes one `of_new_bucket`.
    """
    mine = empty_buckets.pop() if empty_buckets else object_store_server.of_new_bucket()
    yield mine
    if _emptied(its_owner.of_bucket(mine.bucket)):
        empty_buckets.append(mine)


def _emptied(store: Store) -> bool:
    """Whether the bucket is as good as new: not if there was too much in it to be worth the time."""
    try:
        left = [key for key, _ in store.page("", limit=_FEW_OBJECTS)]
    except NotFound:
        return True
    if left:
        store.delete_all(left)
    return len(left) < _FEW_OBJECTS


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's own folder: the server runs as another user, and every run of pytest that starts in the
    # meantime would lock that user out of there.
    folder = Path(tempfile.mkdtemp(prefix="voicesketch-postgres-"))
    server = Postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address for a new database, which `make_ledger` makes: the test runs once on each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database(made=False) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with nothing in it; the test runs once on each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database() as url:
        yield url


@pytest.fixture
def sqlite_database_url(tmp_path: Path) -> str:
    """For tests that would say the same on either kind of database."""
    return sqlite_url(tmp_path)


@pytest.fixture
def settings(database_url: str, broker_url: str, object_store: ObjectStore) -> Settings:
    """Settings on real servers; runs once on each kind of database."""
    return settings_for(database_url, broker_url, object_store)


@pytest.fixture
def sqlite_settings(sqlite_database_url: str, broker_url: str, object_store: ObjectStore) -> Settings:
    """The same on SQLite only."""
    return settings_for(sqlite_database_url, broker_url, object_store)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings that lie beside the repository and are no part of it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings are not beside this checkout (../shared/data)")
    return folder


def sqlite_url(folder: Path) -> str:
    return f"sqlite+pysqlite:///{folder / 'ledger.sqlite3'}"


def settings_for(database_url: str, broker_url: str, object_store: ObjectStore) -> Settings:
    return Settings(
        database_url=database_url,
        broker_url=SecretStr(broker_url),
        s3_endpoint_url=object_store.endpoint_url,
        s3_bucket=object_store.bucket,
        s3_access_key=SecretStr(object_store.access_key),
        s3_secret_key=SecretStr(object_store.secret_key),
        secret_key=SecretStr("only-for-tests-" * 3),
        device="cpu",
    )
