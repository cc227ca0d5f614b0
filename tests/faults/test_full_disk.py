"""The disk of a whole house is full for a while: ledger, store, broker and logs cannot write, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from urllib3.util.retry import Retry

from core.client import Client
from core.errors import Retryable, StackError
from core.submitting.submission import submit, wait
from tests.faults.place import RECORDINGS, Place, open_place
from tests.faults.rounds import PATIENCE_SECONDS, check, wait_until
from tests.worker.conftest import SmallDisk

pytestmark = [pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(600)]

ROOM_KIB = 4 * 2**20  # of a file system in memory; what is not used takes none


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """Where the data folder of the house is to lie. Mounting takes rights that not everybody has."""
    folder = tmp_path_factory.mktemp("full") / "data"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_KIB}k", "voicesketch-test", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def place(disk: SmallDisk) -> Iterator[Place]:
    with open_place(disk.folder.parent) as place:
        yield place


def fill(disk: SmallDisk) -> None:
    """Takes all room away but what is in use; somebody may write meanwhile, so it is tried until it fits."""
    deadline = time.monotonic() + 30
    while True:
        of = os.statvfs(disk.folder)
        try:
            disk.resize((of.f_blocks - of.f_bfree) * of.f_frsize // 1024)
            return
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline


def until_well(place: Place) -> None:
    """The store looks at its disk once a minute, and refuses some writes until then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        told = {check["name"]: check for check in place.house.client.health()["checks"]}
        ill = [
            told[name] for name in ("ledger", "broker", "object store", "disk") if told[name]["state"] != "ok"
        ]
        if not ill:
            return
        assert time.monotonic() < deadline, ill
        sys.stdout.write(f"{ill}\n")
        time.sleep(2)


@pytest.mark.parametrize(("number", "seconds"), [(0, 3.0), (1, 15.0)])
def test_a_full_disk_loses_nothing_and_says_what_it_is(
    place: Place, disk: SmallDisk, number: int, seconds: float
) -> None:
    stack, hurried = place.house.running, Retry(total=0)
    programs = {name: child.pid for name, child in stack.record().children.items()}
    job, _ = submit(place.house.client, [], earlier=place.sent.id, seed=40_000 + number)
    wait_until(place.house, job.id, 0.2)
    client = Client(stack.url, stack.token, retries=hurried)

    def ask_for_another() -> str:
        source = {"job": place.sent.id, "which": "faces"}
        key = f"while the disk was full {number}"
        return client.create_job(idempotency_key=key, name=key, seed=50_000 + number, source=source).id

    fill(disk)
    began = time.monotonic()
    try:
        with contextlib.suppress(Retryable):  # there may be room left in files that are there
            ask_for_another()
        told = {check["name"]: check for check in client.health()["checks"]}
        assert "is full" in told["disk"]["says"], told["disk"]
        assert client.job(job.id).total == RECORDINGS, "whoever reads is served"
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        disk.resize(ROOM_KIB)
    began = time.monotonic()
    ended = wait(place.house.client, job.id, patience_seconds=PATIENCE_SECONDS)
    check(place.house, place.store, ended, RECORDINGS)
    another = wait(place.house.client, ask_for_another(), patience_seconds=PATIENCE_SECONDS)
    check(place.house, place.store, another, ended.with_face)  # what is damaged was left out
    sys.stdout.write(
        f"full for {seconds:.0f} s; all was drawn {time.monotonic() - began:.0f} s after it had room\n"
    )
    assert [job.name for job in place.house.client.jobs(search=f"full {number}")] == [
        f"while the disk was full {number}"
    ]
    until_well(place)
    gone = {name for name, child in stack.record().children.items() if child.pid != programs[name]}
    assert not gone, {name: stack.folder.log(name).read_text()[-3000:] for name in gone}


def test_a_house_that_is_full_when_it_starts_says_so_and_starts_once_there_is_room(
    place: Place, disk: SmallDisk
) -> None:
    place.second.kill()
    place.house.kill_everything()
    fill(disk)
    try:
        with pytest.raises(StackError, match="lies is full"):
            place.house.start()
    finally:
        disk.resize(ROOM_KIB)
    place.house.start()
    place.second.start()
    job, _ = submit(place.house.client, [], earlier=place.sent.id, seed=40_100)
    job = wait(place.house.client, job.id, patience_seconds=PATIENCE_SECONDS)
    check(place.house, place.store, job, RECORDINGS)
