"""Models that were deleted go from the disks of workers, and nothing else does."""

from __future__ import annotations

import os
import time
from pathlib import Path

from core.keeping.cache_sweep import forget_deleted_models
from core.models.deletion import delete_model
from core.models.registry import fetch_model
from tests.core.models.registry_place import Registry, on_sqlite


@on_sqlite
def test_a_deleted_model_goes_from_the_cache_and_its_twin_and_strangers_stay(
    registry: Registry, tmp_path: Path
) -> None:
    database, cache = registry.ledger.database, tmp_path / "cache" / "models"
    assert forget_deleted_models(database, cache) == 0
    gone, same, kept = (
        registry.model("drawer", b"one"),
        registry.model("other", b"same"),
        registry.model("twin", b"same"),
    )
    folders = {model.label: fetch_model(registry.store, model, cache) for model in (gone, same, kept)}
    stranger = cache / ("f" * 64)
    stranger.mkdir()
    fetching = cache / ".fetching-now"
    fetching.mkdir()
    abandoned = cache / ".fetching-long-ago"
    abandoned.mkdir()
    os.utime(abandoned, (time.time() - 90_000,) * 2)
    assert forget_deleted_models(database, cache) == 0
    for label in (gone.label, same.label):
        delete_model(
            database,
            registry.store,
            label,
            actor="user_ada",
            bundled=Path("/nowhere"),
            reason="",
            dry_run=False,
        )
    assert forget_deleted_models(database, cache) == 1
    assert sorted(cache.iterdir()) == sorted([fetching, stranger, folders[kept.label]])
    assert forget_deleted_models(database, cache) == 0
