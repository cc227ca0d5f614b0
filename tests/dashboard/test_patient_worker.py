"""Threads that people hold on to: by requests that stop in the middle, answers nobody reads, ends nobody closes."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

PATIENCE_SECONDS = 60.0
THREADS = 2
GET = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        command = [sys.executable, "-m", "gunicorn", "--threads", str(THREADS), "--bind"]
        command += [
            f"fd://{listening.fileno()}",
            "--worker-class",
            "tests.dashboard.hasty_server.HastyWorker",
        ]
        server = subprocess.Popen(
            [*command, "--log-level", "error", "tests.dashboard.hasty_server:app"],
            pass_fds=[listening.fileno()],
        )
        yield listening.getsockname()
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def opened(address: tuple[str, int], *sent: bytes) -> socket.socket:
    line = socket.create_connection(address, timeout=PATIENCE_SECONDS)
    for piece in sent:
        line.sendall(piece)
    return line


def read_all(line: socket.socket) -> bytes:
    """What comes until the other end hangs up."""
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65536):
            read += piece
    return read


def test_requests_that_stop_in_the_middle_are_hung_up_on(address: tuple[str, int]) -> None:
    half_a_head = b"POST / HTTP/1.1\r\nHost: he"
    half_a_body = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\nabc"
    with contextlib.ExitStack() as held:
        stopped = [held.enter_context(opened(address, half)) for half in (half_a_head, half_a_body)]
        assert len(stopped) == THREADS
        assert [read_all(line) for line in stopped] == [b"", b""]
        assert b"200 OK" in read_all(held.enter_context(opened(address, GET)))


def test_whoever_goes_on_sending_is_heard_to_the_end_however_long_it_takes(address: tuple[str, int]) -> None:
    pieces = [bytes(4096)] * 6
    head = b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with opened(address, head % sum(map(len, pieces))) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(0.1)  # together more than the patience for those who send nothing
        assert b"24576" in read_all(line)


def test_answers_that_nobody_reads_end(address: tuple[str, int]) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(THREADS):
            line = held.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.connect(address)
            line.sendall(b"GET /long HTTP/1.1\r\nHost: here\r\n\r\n")
        assert b"200 OK" in read_all(held.enter_context(opened(address, GET)))


def test_ends_that_others_leave_open_hold_up_nobody(address: tuple[str, int]) -> None:
    before = time.monotonic()
    with contextlib.ExitStack() as held:
        for _ in range(40):  # gunicorn itself would wait two seconds for each, and take nobody in meanwhile
            assert b"200 OK" in read_all(held.enter_context(opened(address, GET)))
    assert time.monotonic() - before < 40


def test_connections_that_say_nothing_hold_no_thread(address: tuple[str, int]) -> None:
    before = time.monotonic()
    with contextlib.ExitStack() as held:
        for _ in range(40):  # gunicorn itself would have a thread wait five seconds for each
            held.enter_context(opened(address))
        late = held.enter_context(opened(address))
        assert b"200 OK" in read_all(held.enter_context(opened(address, GET)))
        late.sendall(GET)
        assert b"200 OK" in read_all(late)
    assert time.monotonic() - before < 50


def test_an_answer_arrives_though_its_request_was_not_read(address: tuple[str, int]) -> None:
    size = 60_000
    head = b"POST /unread HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
    with opened(address, head, bytes(size)) as line:
        assert b"200 OK" in read_all(line)
