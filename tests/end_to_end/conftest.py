"""One whole stack for all tests of this folder: Valkey, SeaweedFS, worker, ticker and dashboard, as users run them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import BUNDLED_WEIGHTS
from tests.end_to_end.house import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The running stack, and the doors into it. Chunks are small, so that a job of 24 can be met in its middle."""
    if not (BUNDLED_WEIGHTS / "config.json").exists():
        pytest.skip(f"there is no model in {BUNDLED_WEIGHTS.name}/ yet")
    data = tmp_path_factory.mktemp("stack")
    environ = {**os.environ, "VOICESKETCH_CHUNK_ITEMS": "4", "VOICESKETCH_DEVICE": "cpu"}
    with House.open(data, environ) as house:
        yield house


@pytest.fixture(scope="session")
def actors(shared_data: Path) -> list[Path]:
    """144 real recordings by 24 actors; parts of it go to different tests, so that none finds its faces drawn."""
    recordings = sorted((shared_data / "ravdess_mini").glob("Actor_*/*.flac"))
    if len(recordings) != 144:
        pytest.skip("the 144 recordings of ravdess_mini are not beside this checkout")
    return recordings
