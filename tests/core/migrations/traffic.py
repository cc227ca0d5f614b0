"""Workers that claim and publish all the time, and remember how long they ever waited for one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import text

from core.ledger.database import Database
from tests.factories import Ledger


@dataclass
class Traffic:
    """
    Attributes:
        claims: how many were made.
        longest_seconds: the longest claim or commit.
        errors: whatever a worker met; it goes on afterwards.
    """

    claims: int = 0
    longest_seconds: float = 0.0
    errors: list[Exception] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def one(self, ledger: Ledger, worker: str, size: int) -> bool:
        """One claim and its commit; answers whether there was anything to do."""
        began = time.monotonic()
        chunk = ledger.try_claim(worker, size)
        claimed = time.monotonic()
        if chunk is None:
            return False
        ledger.publish(chunk)
        ended = time.monotonic()
        with self._lock:
            self.claims += 1
            self.longest_seconds = max(self.longest_seconds, claimed - began, ended - claimed)
        return True

    def wait_for(self, claims: int) -> None:
        """Until so many more were made."""
        until, wanted = time.monotonic() + 60, self.claims + claims
        while self.claims < wanted:
            assert time.monotonic() < until, f"traffic stands still: {self.errors}"
            time.sleep(0.01)


@contextmanager
def traffic(url: str, *, workers: int = 2, size: int = 8) -> Iterator[Traffic]:
    """Works beside the caller; each worker has a connection of its own, as processes have."""
    seen, ended = Traffic(), threading.Event()

    def work() -> None:
        database = Database(url)
        ledger = Ledger(database)
        worker = ledger.worker()
        while not ended.is_set():
            try:
                if not seen.one(ledger, worker, size):
                    ended.wait(0.01)
            except Exception as error:  # noqa: BLE001 - told by the test
                seen.errors.append(error)
                ended.wait(0.05)
        database.dispose()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def enter_large_job(ledger: Ledger, items: int) -> str:
    """A job on PostgreSQL of as many items as one likes, past the code that would enter them one by one."""
    job_id = ledger.job(1)
    with ledger.database.write() as session:
        session.execute(text("ALTER TABLE items DISABLE TRIGGER ALL"))
        session.execute(
            text(
                "INSERT INTO recordings (sha256, object_key, size_bytes, media_type, created_at) "
                "SELECT lpad(n::text, 64, '0'), 'recordings/' || n, 1000, 'audio/wav', now() "
                "FROM generate_series(1, :items) n"
            ),
            {"items": items},
        )
        session.execute(
            text(
                "INSERT INTO items (job_id, position, key, name, recording_sha256, stage, state, attempts, lost) "
                "SELECT :job, n, 'item-' || n, 'voice ' || n || '.wav', lpad(n::text, 64, '0'), 0, 'pending', 0, 0 "
                "FROM generate_series(1, :items) n"
            ),
            {"items": items, "job": job_id},
        )
        session.execute(
            text("UPDATE jobs SET total = total + :items, pending = pending + :items WHERE id = :job"),
            {"items": items, "job": job_id},
        )
        session.execute(text("ALTER TABLE items ENABLE TRIGGER ALL"))
    return job_id
