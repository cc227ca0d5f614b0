"""The drawing line: what it has the network do, and when, with stations that wait until they are told to go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from core.claims.chunks import ClaimedItem, InferChunk
from core.claims.results import AlreadyDrawn, CouldNotDraw
from core.errors import StorageUnavailable
from worker import drawing
from worker.drawing import BATCH, DrawingLine
from worker.ml.audio import Limits
from worker.models import LoadedModel
from worker.stations import Heard


@dataclass
class Stations:
    """Stands in for what the line calls; the network waits for `go`."""

    go: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    failing: BaseException | None = None

    def hear(self, _store: object, _decoders: object, item: ClaimedItem, *_: object) -> Heard:
        if item.object_key == "away":
            raise StorageUnavailable("It is away.")
        return Heard(cast(Any, SimpleNamespace(data=np.zeros(1))), 0.0)

    def draw_all(self, _network: object, inputs: list[np.ndarray], _seed: int) -> list[object]:
        self.batches.append(len(inputs))
        assert self.go.wait(30)
        if self.failing is not None:
            raise self.failing
        return [object() for _ in inputs]

    def hand_out(self, _store: object, _chunk: object, item: ClaimedItem, *_: object) -> AlreadyDrawn:
        return AlreadyDrawn(item.id, "drawing")


@pytest.fixture
def stations(monkeypatch: pytest.MonkeyPatch) -> Stations:
    stations = Stations()
    for name in ("hear", "draw_all", "hand_out"):
        monkeypatch.setattr(drawing, name, getattr(stations, name))
    return stations


@pytest.fixture
def line(stations: Stations) -> Iterator[DrawingLine]:
    line = DrawingLine(cast(Any, None), cast(Any, None), Limits())
    yield line
    stations.go.set()
    line.close()


def test_the_network_has_its_next_batch_beside_it_and_no_more(line: DrawingLine, stations: Stations) -> None:
    one = line.start(chunk(4 * BATCH), MODEL)
    step_until(line, lambda: line._on_their_way == 0)
    assert not line.step(0.2), "it waits for the network"
    assert line.is_drawing
    assert (
        2 * BATCH <= line.waiting < 3 * BATCH
    )  # the first batch is small: the network did not wait for more
    stations.go.set()
    step_until(line, lambda: one.left == 0)
    assert len(one.outcomes) == 4 * BATCH
    assert sum(stations.batches) == 4 * BATCH
    assert not line.is_drawing


def test_items_of_another_seed_are_drawn_in_batches_of_their_own(
    line: DrawingLine, stations: Stations
) -> None:
    stations.go.set()
    chunks = [line.start(chunk(3, seed=seed), MODEL) for seed in (1, 2)]
    step_until(line, lambda: all(one.left == 0 for one in chunks))
    assert sum(stations.batches) == 6
    assert max(stations.batches) <= 3


def test_what_was_given_up_is_dropped_wherever_it_is(line: DrawingLine, stations: Stations) -> None:
    one = line.start(chunk(4 * BATCH), MODEL)
    step_until(line, lambda: line._on_their_way == 0)
    one.given_up = "it was cancelled"
    line.drop_given_up()
    stations.go.set()
    step_until(line, lambda: one.left == 0)
    assert line.waiting == 0
    assert sum(stations.batches) <= BATCH, "the batch that had not begun was not drawn"


def test_where_the_store_is_away_the_rest_of_the_chunk_goes_back(
    line: DrawingLine, stations: Stations
) -> None:
    stations.go.set()
    one = line.start(chunk(1, key="away"), MODEL)
    step_until(line, lambda: one.left == 0)
    assert (one.given_up, one.outcomes) == ("It is away.", [])


def test_a_fault_of_a_station_ends_its_item_and_no_other(
    line: DrawingLine, stations: Stations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(_store: object, _chunk: object, item: ClaimedItem, *_: object) -> AlreadyDrawn:
        if item.id == 0:
            raise KeyError("ours")
        return AlreadyDrawn(item.id, "drawing")

    monkeypatch.setattr(drawing, "hand_out", fail_once)
    stations.go.set()
    one = line.start(chunk(3), MODEL)
    step_until(line, lambda: one.left == 0)
    failed = [outcome for outcome in one.outcomes if isinstance(outcome, CouldNotDraw)]
    assert [(outcome.item_id, outcome.code) for outcome in failed] == [(0, "internal_error")]


def test_a_failure_that_is_no_recordings_fault_reaches_whoever_drives_the_line(
    line: DrawingLine, stations: Stations
) -> None:
    stations.failing = MemoryError("no room")
    stations.go.set()
    one = line.start(chunk(1), MODEL)
    with pytest.raises(MemoryError, match="no room"):
        step_until(line, lambda: one.left == 0)


MODEL = cast(LoadedModel, SimpleNamespace(label="default@1", network=SimpleNamespace(input="voice")))


def chunk(items: int, *, seed: int = 0, key: str = "here") -> InferChunk:
    return InferChunk(
        attempt_id="attempt",
        job_id="job",
        token=1,
        worker_id="worker",
        model_version_id="model",
        parameters_sha256="",
        seed=seed,
        items=tuple(
            ClaimedItem(
                id=number,
                name="",
                recording_sha256=f"{number}",
                object_key=key,
                size_bytes=1,
                drawing_id=None,
            )
            for number in range(items)
        ),
    )


def step_until(line: DrawingLine, reached: Any) -> None:
    for _ in range(300):
        if reached():
            return
        line.step(0.1)
    raise AssertionError("waited in vain")
