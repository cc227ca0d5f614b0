"""Small objects, of which each face has three, go to the store in one piece: headers and content together."""

from __future__ import annotations

from typing import Any

from core.config import Settings
from core.store import Store


def test_a_picture_is_sent_without_asking_for_leave_and_a_large_object_is_not(
    sqlite_settings: Settings,
) -> None:
    store = Store(sqlite_settings)
    store.ensure_bucket()
    asked: list[bool] = []

    def look(request: Any, **_: object) -> None:
        asked.append("Expect" in request.headers)

    store._client.meta.events.register("before-send.s3.PutObject", look)
    small, large = b"face", bytes(2 * 1024 * 1024)
    store.put("small", small, "image/png")
    store.put("large", large, "application/octet-stream")
    assert asked == [False, True]
    assert (store.get("small"), store.get("large")) == (small, large)
