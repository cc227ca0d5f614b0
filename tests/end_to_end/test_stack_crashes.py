"""The stack when parts of it die: it comes back by itself, leaves nothing behind, and forgets nothing."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import struct
import time
import wave
from collections.abc import Callable, Iterator
from math import pi, sin
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from core.client import Client
from core.errors import ServiceUnreachable
from core.specs import NewItem
from core.stack.child import session_members
from core.stack.launch import RunningStack, running_stack
from core.states import JOB_FINAL

Answer = TypeVar("Answer")

pytestmark = pytest.mark.stack

CHILDREN = ("valkey", "seaweedfs", "worker", "ticker", "dashboard")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("crashes"), environ=os.environ) as running:
        yield running


@pytest.mark.soak  # rounds of tests/faults kill each of them under work
@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_comes_back_and_work_goes_on(stack: RunningStack, name: str) -> None:
    before = stack.record().children[name].pid
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: is_restarted(stack, name, before), 60)
    assert not session_members(before), "nothing of the killed one is left"
    client = Client(stack.url, stack.token)
    job_id = patiently(lambda: submit(client, seed=CHILDREN.index(name)))
    wait_for(lambda: patiently(lambda: client.job(job_id)).state in JOB_FINAL, 120)


def test_a_stack_outlives_kill_9_of_its_supervisor_and_of_everything_and_ends_in_the_middle_of_work(
    tmp_path: Path,
) -> None:
    """One stack, started three times: a start takes longer than all that is looked at here."""
    with running_stack(tmp_path, environ=os.environ) as stack:
        client = Client(stack.url, stack.token)
        first = submit(client, seed=100)
        sha256 = client.send_recording(io.BytesIO(tone(101)))
        everything = descendants(stack)
        assert len(everything) >= len(CHILDREN)
        stack.supervisor.kill()
        wait_for(lambda: not any(is_alive(process) for process in everything), 60)

    with running_stack(tmp_path, environ=os.environ) as again:
        assert (again.url, again.token) == (stack.url, stack.token), (
            "programs that know it need not be told anew"
        )
        client = Client(again.url, again.token)
        assert client.has_recording(sha256)
        wait_for(lambda: client.job(first).state in JOB_FINAL, 120)
        second = submit(client, seed=200)
        victims = [psutil.Process(again.supervisor.pid), *descendants(again)]
        for kill in (psutil.Process.suspend, psutil.Process.kill):
            for process in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    kill(process)
        again.supervisor.wait()

    with running_stack(tmp_path, environ=os.environ) as last:
        client = Client(last.url, last.token)
        wait_for(lambda: client.job(second).state in JOB_FINAL, 120)
        assert {job.id for job in client.jobs()} == {first, second}
        for seed in range(300, 310):
            submit(client, seed=seed)
        everything = descendants(last)
        last.supervisor.terminate()
        assert last.supervisor.wait(60) == 0
        assert not any(is_alive(process) for process in everything)
        assert not list(Path("/tmp").glob(f"seaweedfs-*-{last.url.rpartition(':')[2]}.sock"))


def submit(client: Client, seed: int) -> str:
    sha256 = client.send_recording(io.BytesIO(tone(seed)))
    item = NewItem(key=f"tone {seed}", name=f"tone {seed}.wav", recording=sha256)
    return client.create_job([item], idempotency_key=f"tone-{seed}").id


def tone(seed: int) -> bytes:
    """A second of a tone; every seed makes another recording."""
    samples = (int(12_000 * sin(2 * pi * (200 + seed) * n / 16_000)) for n in range(16_000))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


def descendants(stack: RunningStack) -> list[psutil.Process]:
    return psutil.Process(stack.supervisor.pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_restarted(stack: RunningStack, name: str, before: int) -> bool:
    process = stack.record().children.get(name)
    return process is not None and process.pid != before and process.is_this_one()


def patiently(ask: Callable[[], Answer], seconds: float = 30.0) -> Answer:
    """What a script does while the service restarts: asks again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except ServiceUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
