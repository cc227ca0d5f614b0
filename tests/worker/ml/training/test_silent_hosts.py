"""Which connections are given up when the other host says nothing, and what is told of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.stack import ports
from tests.worker.training.made_up import spec
from tests.worker.training.running import recipe
from worker.ml.training.silent_hosts import SILENT_SECONDS, bound_connections
from worker.train_failures import explain
from worker.train_processes import LOST_PROCESS, SILENT_HOST
from worker.train_request import TrainRequest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's connections")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        near = stack.enter_context(socket.create_connection(listening.getsockname()))
        far, _ = listening.accept()
        yield near, stack.enter_context(far)


def patience(one: socket.socket) -> tuple[int, int, int]:
    """Whether it asks for a sign of life at all, after how long, and when it gives up in milliseconds."""
    return (
        one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    )


def test_connections_made_by_anybody_are_given_up_after_two_minutes_of_silence_and_go_on_working(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    known = bound_connections()
    for one in pair:
        asks, after_seconds, gives_up = patience(one)
        assert (asks, gives_up) == (1, SILENT_SECONDS * 1000)
        assert after_seconds < SILENT_SECONDS
    pair[0].sendall(b"word")
    assert pair[1].recv(4) == b"word"
    # Looked at once: whoever wants another patience for its own connection later may have it.
    pair[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
    with socket.create_connection(pair[1].getsockname()) as later:
        assert bound_connections(known) > known
        assert patience(later)[2] == SILENT_SECONDS * 1000
    assert patience(pair[0])[2] == 5000


def test_sockets_that_are_no_connections_to_hosts_are_let_be() -> None:
    near, far = socket.socketpair()
    with near, far, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        bound_connections()
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert datagrams.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[/pytorch/third_party/gloo/pair.cc:1] Read error [10.0.0.2]:1: Connection timed out", SILENT_HOST),
        ("[/pytorch/third_party/gloo/pair.cc:1] Read error [10.0.0.2]:1: No route to host", SILENT_HOST),
        ("[/pytorch/third_party/gloo/pair.cc:1] Connection closed by peer [10.0.0.2]:1", LOST_PROCESS),
    ],
)
def test_a_silent_host_is_told_apart_from_a_process_that_died(said: str, told: str, tmp_path: Path) -> None:
    request = TrainRequest(spec=spec(recipe("matching")), dataset=tmp_path, dataset_sha256="0" * 64)
    failed = explain(RuntimeError(said), request)
    assert (failed.code, failed.message, failed.retryable) == ("internal_error", told, True)


@pytest.mark.soak
def test_a_host_that_is_gone_before_it_has_connected_is_waited_for_no_longer_than_said() -> None:
    joins = "import torch; from worker.ml.training import collectives as c; c._JOIN_SECONDS = 1; "
    joins += "c.join(torch.device('cpu'))"
    port = ports.choose(["meeting"])["meeting"]
    world = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ended = subprocess.run(
        [sys.executable, "-c", joins],
        env={**os.environ, **world, **meeting},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "init_process_group" in ended.stderr
