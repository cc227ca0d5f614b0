"""The supervisor, with a stack of tiny stand-ins; `tests/end_to_end/test_stack_*.py` does it with the real one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from core.errors import StackError
from core.stack.child import session_members
from core.stack.launch import RunningStack, running_stack
from core.stack.ports import choose
from core.stack.supervisor import PROGRAMS_STOP_SECONDS, SERVERS_STOP_SECONDS, run_stack

STAND_IN = "tests.core.stack.stand_in"


@contextmanager
def stand_in(data: Path, port: int | None = None, **environment: str) -> Iterator[RunningStack]:
    environ = {**os.environ, **environment}
    with running_stack(data, port, environ=environ, ready_seconds=60, module=STAND_IN) as stack:
        yield stack


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def sessions(stack: RunningStack) -> list[int]:
    return [child.pid for child in stack.record().children.values()]


def living(pids: list[int]) -> list[int]:
    return [member for pid in pids for member in session_members(pid)]


def is_restarted(stack: RunningStack, name: str, before: int) -> bool:
    process = stack.record().children.get(name)
    return process is not None and process.pid != before and process.is_this_one()


def test_a_full_disk_does_not_stop_it_from_starting_a_program_again(tmp_path: Path) -> None:
    with stand_in(tmp_path / "data") as stack:
        before = stack.record().children["worker"].pid
        in_the_way = stack.folder.path / ".stack.json.partial"
        (in_the_way / "something").mkdir(parents=True)  # nothing can be written down
        os.kill(before, signal.SIGKILL)
        parent = psutil.Process(stack.supervisor.pid)
        wait_for(lambda: before not in {child.pid for child in parent.children()})
        wait_for(lambda: len(parent.children()) >= 4, 30)  # three programs and the guardian
        assert stack.supervisor.poll() is None
        assert stack.record().children["worker"].pid == before
        (in_the_way / "something").rmdir()
        in_the_way.rmdir()
        wait_for(lambda: is_restarted(stack, "worker", before))


def test_it_starts_and_answers(tmp_path: Path) -> None:
    with stand_in(tmp_path / "data") as stack:
        assert stack.token == "a-token"
        assert stack.sign_in_link.endswith("/sign-in/a-link")
        assert sorted(stack.record().children) == ["dashboard", "valkey", "worker"]


@pytest.mark.parametrize("name", ["valkey", "worker", "dashboard"])
def test_a_killed_child_is_started_again(tmp_path: Path, name: str) -> None:
    with stand_in(tmp_path) as stack:
        before = stack.record().children[name].pid
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: is_restarted(stack, name, before))
        assert living([before]) == [], "the child's own children are gone as well"


def test_a_killed_guardian_is_started_again(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        (guardian,) = guardians(stack)
        guardian.kill()
        wait_for(lambda: len(guardians(stack)) == 1 and guardians(stack)[0].pid != guardian.pid)
        pids = sessions(stack)
        stack.supervisor.kill()
        wait_for(lambda: not living(pids))


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        pids = sessions(stack)
        assert len(living(pids)) == 5, "two of the three have a child of their own"
        stack.supervisor.kill()
        wait_for(lambda: not living(pids))


def test_a_restart_ends_what_an_earlier_run_left_behind(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        pids = sessions(stack)
        record = stack.folder.record.read_text()
        for process in (*guardians(stack), psutil.Process(stack.supervisor.pid)):
            process.suspend()
        # Without a guardian, grandchildren survive; they are found by what was written down.
        for process in (*guardians(stack), psutil.Process(stack.supervisor.pid)):
            process.kill()
        wait_for(lambda: len(living(pids)) == 2)
        assert stack.folder.record.read_text() == record
    with stand_in(tmp_path):
        assert living(pids) == []
        assert (tmp_path / "count").read_text() == "2"


def test_sigterm_ends_everything_within_fifteen_seconds_even_if_nobody_listens(tmp_path: Path) -> None:
    with stand_in(tmp_path, STAND_IN_DEAF="yes") as stack:
        pids = sessions(stack)
        stack.supervisor.terminate()
        assert stack.supervisor.wait(60) == 0
        assert living(pids) == []
    # What a busy machine adds to this is not the stack's.
    assert PROGRAMS_STOP_SECONDS + SERVERS_STOP_SECONDS < 15


def test_a_second_request_to_stop_hurries(tmp_path: Path) -> None:
    with stand_in(tmp_path, STAND_IN_DEAF="yes") as stack:
        pids = sessions(stack)
        stack.supervisor.send_signal(signal.SIGINT)
        wait_for(lambda: "Stopping" in (stack.folder.path / "said").read_text())
        started = time.monotonic()
        stack.supervisor.send_signal(signal.SIGINT)
        assert stack.supervisor.wait(60) == 0
        assert time.monotonic() - started < PROGRAMS_STOP_SECONDS
        assert living(pids) == []


def test_a_port_that_is_taken_leaves_no_new_folder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"Port {port} is in use by another program"):
            run_stack(tmp_path / "new", port, {})
    assert not (tmp_path / "new").exists()


def test_it_starts_and_stops_in_good_order_where_nobody_hears_it(tmp_path: Path) -> None:
    with stand_in(tmp_path, STAND_IN_UNHEARD="yes") as stack:
        pids = sessions(stack)
        stack.supervisor.send_signal(signal.SIGHUP)
        assert stack.supervisor.wait(60) == 0
        assert living(pids) == []
        assert not stack.folder.record.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_usual_signal_stops_it(tmp_path: Path, number: signal.Signals) -> None:
    with stand_in(tmp_path) as stack:
        pids = sessions(stack)
        stack.supervisor.send_signal(number)
        assert stack.supervisor.wait(60) == 0
        assert living(pids) == []
        assert not stack.folder.record.exists()


def test_a_restart_takes_the_same_ports(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        first = stack.url
    with stand_in(tmp_path) as stack:
        assert stack.url == first


def test_a_restart_takes_another_port_where_its_own_was_taken(tmp_path: Path) -> None:
    with stand_in(tmp_path) as stack:
        port = int(stack.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), stand_in(tmp_path) as stack:
        assert stack.url != f"http://127.0.0.1:{port}"


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    port = choose(["any"])["any"]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(
            StackError, match=rf"^Port {port} is in use by another program; choose another with --port\.$"
        ),
        stand_in(tmp_path, port),
    ):
        pass


def test_a_folder_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with (
        stand_in(tmp_path) as stack,
        pytest.raises(
            StackError, match=rf"in use by another voicesketch \(process {stack.supervisor.pid}\); stop"
        ),
        stand_in(tmp_path),
    ):
        pass


def test_a_program_that_cannot_start_stops_everything_and_shows_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(StackError) as refusal, stand_in(tmp_path, STAND_IN_BROKEN="dashboard"):
        pass
    assert "dashboard ended at once (exit code 7)" in refusal.value.message
    assert "the reason why" in refusal.value.message


def test_a_failed_preparation_shows_why(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the reason why"), stand_in(tmp_path, STAND_IN_BROKEN="preparation"):
        pass


def test_a_child_that_does_not_stay_up_stops_everything(tmp_path: Path) -> None:
    with stand_in(tmp_path, STAND_IN_BROKEN="worker") as stack:
        pids = sessions(stack)
        assert stack.supervisor.wait(60) == 2
        assert living(pids) == []


def test_the_stack_stops_when_the_program_that_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, time\n"
        "from core.stack.launch import running_stack\n"
        f"with running_stack(pathlib.Path(sys.argv[1]), environ=os.environ, module={STAND_IN!r}) as stack:\n"
        "    print(*[child.pid for child in stack.record().children.values()], flush=True)\n"
        "    time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    assert len(pids) == 3
    starter.kill()
    starter.wait()
    starter.stdout.close()
    wait_for(lambda: not living(pids))


def guardians(stack: RunningStack) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(stack.supervisor.pid).children():
        # One that was killed may be reaped at any moment.
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE and "guardian.py" in " ".join(child.cmdline()):
                found.append(child)
    return found
