"""A pooler between us and PostgreSQL is noticed, and nothing is left in connections that are somebody else's next.

Here a stand-in that gives every connection a number of its own, as poolers do; tests/deploy/test_pooler.py has a real
one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from core.doctor.ledger import server
from core.ledger.database import Database, is_pooled
from core.ledger.migrating import migrate
from core.watching.presence import Presence
from tests.servers import Postgres

# "K", the length, and after them the number of the server's process (BackendKeyData of the protocol).
_KEY = b"K\x00\x00\x00\x0c"


class Renumbering:
    """Passes on what is said between clients and the server of an address, and numbers connections anew."""

    def __init__(self, url: str) -> None:
        direct = make_url(url)
        self._server = f"{direct.query['host']}/.s.PGSQL.{direct.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = direct.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            there = threading.Thread(target=self._pass_on, args=(client, server), daemon=True)
            there.start()
            self._pass_on(server, client)
            there.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := source.recv(65_536):
                before, found, after = said.partition(_KEY)
                sink.sendall(before + found + b"\x7f\xff\xff\xff" + after[4:] if found else said)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def direct(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def url(direct: str) -> Iterator[str]:
    """The same ledger through the pooler."""
    pooler = Renumbering(direct)
    yield pooler.url
    pooler.close()


def test_through_a_pooler_nothing_is_set_or_prepared_that_the_next_client_would_find(url: str) -> None:
    database = Database(url)
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        assert driver.prepare_threshold is None
        for _ in range(10):
            assert connection.scalar(text("SELECT CAST(:given AS integer)"), {"given": 3}) == 3
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
        for name in ("idle_in_transaction_session_timeout", "tcp_user_timeout"):
            assert connection.scalar(
                text(f"SELECT setting = reset_val FROM pg_settings WHERE name = '{name}'")
            )
    database.dispose()


def test_the_doctor_does_not_count_connections_that_a_pooler_shares_out(url: str, direct: str) -> None:
    migrate(url)
    crowd = [Presence("dashboard", f"host-{number}", 1, "code", "key") for number in range(40)]
    for address, pooled in ((url, True), (direct, False)):
        database = Database(address)
        with database.read() as session:
            assert is_pooled(session) is pooled
            found = [one.code for one in server(session, crowd)]
        database.dispose()
        assert found == ([] if pooled else ["too_few_connections"])


def test_a_pooler_that_gives_a_connection_to_one_client_alone_is_good_enough_for_the_preparation(
    url: str,
) -> None:
    migrate(url)
    database = Database(url)
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM jobs")) == 0
    database.dispose()
