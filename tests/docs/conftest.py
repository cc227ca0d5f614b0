"""One service for all pages that are played, and a folder with recordings for each of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.house_of_the_manual import HOW_TO, SAMPLES, House, Room, open_house
from tests.docs.played_pages import blocks


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """With the setting that the page on buckets asks for, and workers that are soon heard."""
    (setting,) = blocks(HOW_TO / "submit-a-bucket.md")[0].commands
    with open_house(tmp_path_factory.mktemp("house"), (setting, "VOICESKETCH_HEARTBEAT_SECONDS=1")) as house:
        yield house


@pytest.fixture
def room(house: House, tmp_path: Path) -> Iterator[Room]:
    """With three recordings in `voices`."""
    with house.room(tmp_path / "room") as room:
        (room.folder / "voices").mkdir()
        for name in SAMPLES:
            shutil.copy(REPOSITORY / "samples" / name, room.folder / "voices")
        yield room
