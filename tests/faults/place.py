"""A place to break: a house with a small model, a second worker beside it, and a job that brought all recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.client_views import JobView
from core.store import Store
from core.submitting.submission import wait
from tests.end_to_end.house import House
from tests.faults.faults import LEASE_SECONDS
from tests.faults.rounds import PATIENCE_SECONDS, write_recordings
from tests.faults.second_worker import SecondWorker
from tests.faults.small_model import write_small_model

RECORDINGS = 200
SAMPLES = sorted((Path(__file__).resolve().parents[2] / "samples").glob("*.flac"))
# Everything that waits waits less than it would in earnest, and nothing else differs.
SURROUNDINGS = {
    "VOICESKETCH_CHUNK_ITEMS": "16",
    "VOICESKETCH_DEVICE": "cpu",
    "VOICESKETCH_LEASE_SECONDS": str(LEASE_SECONDS),
    "VOICESKETCH_HEARTBEAT_SECONDS": "1",
    "VOICESKETCH_RING_AGAIN_SECONDS": "2",
    "VOICESKETCH_TICK_SECONDS": "0.3",
    "OMP_NUM_THREADS": "1",  # two workers on two cores
}


@dataclass(frozen=True)
class Place:
    house: House
    second: SecondWorker
    sent: JobView
    poisonous: Path  # SHA-256 of recordings that kill whoever hears them

    @property
    def store(self) -> Store:
        """By the direct road."""
        return Store(self.second.settings)


@contextmanager
def open_place(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Place]:
    """
    Args:
        more: of the stack's environment.
    """
    write_small_model(folder / "model")
    write_recordings(folder / "recordings", RECORDINGS, SAMPLES)
    poisonous = folder / "poisonous"
    poisonous.touch()
    environ = {
        **os.environ,
        **SURROUNDINGS,
        "VOICESKETCH_MODEL_FOLDER": str(folder / "model"),
        "PYTHONPATH": f"{Path(__file__).parent / 'bad_luck'}:{os.environ.get('PYTHONPATH', '')}",
        "POISON_LIST": str(poisonous),
        **(more or {}),
    }
    with (
        House.open(folder / "data", environ, "tests.faults.stack") as house,
        SecondWorker(house, folder / "second.log") as second,
    ):
        sent = house.submit([folder / "recordings"])
        yield Place(house, second, wait(house.client, sent.id, patience_seconds=PATIENCE_SECONDS), poisonous)
