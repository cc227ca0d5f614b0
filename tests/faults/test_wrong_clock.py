"""A worker whose clock is an hour off: leases go by the ledger's clock, and the store says what is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import botocore.auth
import pytest

from core.config import Settings
from core.errors import StorageUnavailable
from core.store import Store

_as_it_is = botocore.auth.get_current_datetime


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_store_that_refuses_a_wrong_clock_is_told_apart_and_no_recording_is_blamed(
    hours: int, sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(sqlite_settings)
    store.ensure_bucket()
    store.put("recordings/one", b"here", "application/octet-stream")

    def off(*given: Any, **named: Any) -> datetime:
        now: datetime = _as_it_is(*given, **named)
        return now + timedelta(hours=hours)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", off)
    with pytest.raises(StorageUnavailable, match="clock"):
        store.get("recordings/one")
