"""A host that follows: what it takes part in, what it starts, and when that ends."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from core.claims.leases import claim_chunk, release
from core.claims.workers import register_worker
from core.training.specs import TrainSpec
from tests.worker.program_place import ProgramPlace
from tests.worker.programs.running import wait_for
from worker import follow

LEADER = socket.gethostname()
QUEUE = "gpu-2-hosts"
# Says what it was given and what lies there, and goes on without end.
_TELLS = """
import json, os, pathlib, sys, time
request = json.loads((pathlib.Path(sys.argv[-1]) / "request.json").read_text())
there = os.path.exists(request["dataset"] + "/dataset.json")
unfinished = pathlib.Path({told!r} + ".part")
unfinished.write_text(json.dumps({{"given": sys.argv[1:-1], "there": there, "pid": os.getpid()}}))
unfinished.rename({told!r})
time.sleep(600)
"""


@pytest.fixture
def follower(place: ProgramPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[follow.Follower]:
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.05)
    follower = follow.Follower(place.settings, LEADER, 1)
    yield follower
    follower.leave()


def claimed(place: ProgramPlace) -> str:
    """A training of two hosts, taken by a worker of this very machine; answers its attempt."""
    wanted = {"model": "m", "dataset": "people@1", "recipe": {"task": "default"}, "machine": {"hosts": 2}}
    place.start(TrainSpec.model_validate({**wanted, "after": {"evaluate": False, "gate": None}}))
    with place.database.write() as session:
        worker = register_worker(session, queue=QUEUE, device="cpu")
        chunk = claim_chunk(session, worker, QUEUE, size=1, lease_seconds=60)
    assert chunk is not None
    return chunk.attempt_id


def end(place: ProgramPlace, attempt: str) -> None:
    with place.database.write() as session:
        release(session, attempt, reason="tested")


def test_it_takes_part_in_what_its_leader_holds_and_in_nothing_else(
    place: ProgramPlace, follower: follow.Follower
) -> None:
    assert follower._look() is None
    attempt = claimed(place)
    led = follower._look()
    assert led is not None
    assert led.attempt_id == attempt
    assert (
        follow.Follower(place.settings, LEADER, 2)._look() is None
    )  # there are two hosts, and that is the third
    assert follow.Follower(place.settings, LEADER[:-1], 1)._look() is None
    end(place, attempt)
    assert follower._look() is None


def test_it_starts_its_part_on_files_of_its_own_and_ends_it_with_the_attempt(
    place: ProgramPlace, follower: follow.Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = place.folder / "told.json"
    program = place.folder / "program.py"
    program.write_text(_TELLS.format(told=str(told)))
    monkeypatch.setattr(follow, "PROGRAMS", {"train": (sys.executable, str(program))})
    attempt = claimed(place)
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        wait_for(told.exists)
        said = json.loads(told.read_text())
        assert said["given"] == ["--leader", LEADER, "--number", "1"]
        assert said["there"]
        assert psutil.pid_exists(said["pid"])
        end(place, attempt)
        wait_for(lambda: not psutil.pid_exists(said["pid"]))
    finally:
        follower.leave()
        thread.join()
