"""Two processes with half the batch each learn what one process learns with all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.worker.ml.training.runs import ADAM, curves, run
from worker.ml.training.events import Ended, Event, Progress, read_event
from worker.ml.training.failures import Stopped
from worker.ml.training.silent_hosts import SILENT_SECONDS
from worker.ml.training.task import Phase

PHASES = (Phase("only", 3, 4, ADAM, clip_norm=0.3),)
NAMES = ("plain", "contrastive", "noisy")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run folders of every task trained by two processes; `noisy-stopped` was stopped in between."""
    root = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __name__, str(root)],
            env={**os.environ, **world, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert outputs[1] == "", "only the first process tells events"
    assert any(isinstance(read_event(line), Progress) for line in outputs[0].splitlines())
    return {name: root / name for name in (*NAMES, "noisy-stopped")}


@pytest.mark.parametrize("name", ["plain", "contrastive"])
def test_two_processes_have_the_losses_of_one_with_the_same_batch(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    run(name, tmp_path, PHASES)
    one, two = curves(tmp_path), curves(folders[name])
    assert [(point.step, set(point.values)) for point in one] == [
        (point.step, set(point.values)) for point in two
    ]
    for alone, shared in zip(one, two, strict=True):
        assert shared.values == pytest.approx(alone.values, rel=1e-4, abs=1e-6)
    weights = [
        load_file(next((folder / "model").rglob("*.safetensors"))) for folder in (tmp_path, folders[name])
    ]
    for key in weights[0]:
        torch.testing.assert_close(weights[0][key], weights[1][key], rtol=1e-3, atol=1e-5)


def test_two_processes_that_were_stopped_and_resumed_end_as_if_they_had_not_been(
    folders: dict[str, Path],
) -> None:
    assert curves(folders["noisy-stopped"]) == curves(folders["noisy"])
    weights = [
        load_file(folders[name] / "model" / "net" / "model.safetensors")
        for name in ("noisy", "noisy-stopped")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_each_process_gives_up_the_other_when_its_host_is_silent(folders: dict[str, Path]) -> None:
    for rank in ("0", "1"):
        told = json.loads((folders["plain"].parent / f"patience-{rank}.json").read_text())
        assert len(told) >= 2, "it is connected with the meeting place and with the other process"
        assert set(told) == {SILENT_SECONDS * 1000}


def _patience() -> list[int]:
    """For each TCP connection of this process, after how many milliseconds of silence it is given up."""
    told = []
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_ESTABLISHED:
            with socket.socket(fileno=os.dup(connection.fd)) as one:
                told.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return told


def _main(root: Path) -> None:
    """In each of the two processes."""
    from worker.ml.training import collectives
    from worker.ml.training.events import write_event

    def tell(event: Event) -> None:
        write_event(event)

    torch.set_num_threads(1)
    for name in NAMES:
        ended = run(name, root / name, PHASES, tell=tell)
        assert isinstance(ended, Ended)
    # Only the second process is asked to stop; both must.
    rank, asked = int(os.environ["RANK"]), []

    def should_stop() -> bool:
        asked.append(1)
        return rank == 1 and len(asked) == 7

    with pytest.raises(Stopped) as stopped:
        run("noisy", root / "noisy-stopped", PHASES, tell=tell, should_stop=should_stop)
    # Asked after each of five steps, and before each pair of validation batches: the last time in the middle of it.
    assert stopped.value.step == 5
    run("noisy", root / "noisy-stopped", PHASES, tell=tell)
    deadline = time.monotonic() + 30
    while 0 in _patience() and time.monotonic() < deadline:
        time.sleep(0.05)
    (root / f"patience-{rank}.json").write_text(json.dumps(_patience()))
    collectives.all_objects(None)  # nobody leaves while the other one counts
    collectives.leave()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
