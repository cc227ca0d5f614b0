"""An answer of the object store that ends too early is never taken for what the store holds.

A client of S3 believes an answer's head as far as it came: without this a recording whose answer was cut there would be
an empty file, and a listing an empty bucket.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from core.config import Settings
from core.errors import StorageUnavailable
from core.store import Store
from tests.faults.proxy import Proxy
from tests.servers import ObjectStore

KEY, CONTENT = "recordings/one", random.Random(1).randbytes(3_000)
LONGEST_HEAD = 600  # bytes
READINGS: dict[str, tuple[Callable[[Store], object], object]] = {
    "get": (lambda store: store.get(KEY), CONTENT),
    "stream": (lambda store: b"".join(store.stream(KEY)), CONTENT),
    "exists": (lambda store: store.exists(KEY), True),
    "keys": (lambda store: list(store.keys()), [KEY]),
    "page": (lambda store: store.page(""), [(KEY, len(CONTENT))]),
}


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    proxy = Proxy(("127.0.0.1", object_store.ports["s3.port"]))
    yield proxy
    proxy.close()


@pytest.mark.parametrize("reading", READINGS)
def test_an_answer_cut_anywhere_is_refused_and_never_believed(
    reading: str, proxy: Proxy, sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Store(sqlite_settings)
    here.ensure_bucket()
    here.put(KEY, CONTENT, "application/octet-stream")
    there = Store(sqlite_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{proxy.port}"}))
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)  # between its own attempts
    read, held = READINGS[reading]
    assert read(there) == held
    refused = 0
    with proxy.feeling("cut"):
        for proxy.cut_after in range(0, LONGEST_HEAD, 17):
            try:
                assert read(there) == held, f"cut after {proxy.cut_after} bytes"
            except StorageUnavailable:
                refused += 1
    assert refused > 1, "no answer at all is none"
    assert read(there) == held, "and afterwards all is well"
