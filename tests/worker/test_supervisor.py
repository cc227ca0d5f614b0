"""A program seen through to its end: whatever it says, however it dies, and with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.living import lives
from worker.ml.training.events import Ended, Event, Failed, Progress
from worker.supervisor import KEEPER, Limits, RunEnd, Supervisor, Why

_BEGIN = """
import json, os, signal, subprocess, sys, time
def tell(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)
def child():
    # In a session of its own, as torchrun starts its processes.
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"], start_new_session=True).pid
"""


@dataclass
class Seen:
    """What a supervisor passed on."""

    events: list[Event] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    end: RunEnd | None = None

    @property
    def told(self) -> set[str]:
        return set(self.lines)


def run(
    tmp_path: Path,
    body: str,
    why_stop: Callable[[Seen], Why | None] = lambda seen: None,
    **limits: Any,
) -> Seen:
    path = tmp_path / "program.py"
    path.write_text(_BEGIN + textwrap.dedent(body))
    seen = Seen()
    seen.end = Supervisor(
        [sys.executable, str(path)],
        folder=tmp_path,
        environment=dict(os.environ),
        limits=Limits(**limits),
        why_stop=lambda: why_stop(seen),
        on_event=seen.events.append,
        on_line=seen.lines.append,
    ).run()
    return seen


def has_begun(seen: Seen) -> bool:
    return any(isinstance(event, Progress) for event in seen.events)


def test_events_come_in_order_and_everything_else_is_a_line(tmp_path: Path) -> None:
    seen = run(
        tmp_path,
        """
        tell("progress", step=1, steps=2)
        print("rubbish")
        print('{"event": "progress"}')
        print("of the other stream", file=sys.stderr)
        sys.stdout.write("y" * 3_000_000 + "\\n")
        tell("progress", step=2, steps=2)
        tell("ended", outcome="stopped_early", result={"a": 1})
        """,
    )
    assert seen.end == RunEnd("ended", ended=Ended("stopped_early", {"a": 1}))
    assert [event.step for event in seen.events if isinstance(event, Progress)] == [1, 2]
    assert {"rubbish", '{"event": "progress"}', "of the other stream"} <= seen.told
    assert max(map(len, seen.lines)) <= 10_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit(3)", "code 3"),
        ("pass", "without saying how it went"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(9)", "SIGKILL"),
    ],
)
def test_a_death_without_a_word_is_put_into_one(tmp_path: Path, body: str, words: str) -> None:
    end = run(tmp_path, body).end
    assert end is not None
    assert end.how == "died"
    assert words in end.sentence


def test_what_it_says_counts_and_not_how_it_leaves(tmp_path: Path) -> None:
    failed = run(tmp_path, 'tell("failed", code="disk_full", message="Full.")\nsys.exit(1)').end
    assert failed is not None and failed.failed == Failed("disk_full", "Full.")
    ended = run(tmp_path, 'tell("ended")\nos.kill(os.getpid(), signal.SIGSEGV)').end
    assert ended is not None and ended.how == "ended"


@pytest.mark.parametrize(
    ("body", "limits", "code"),
    [
        ("time.sleep(60)", {"wall_seconds": 0.6}, "time_limit"),
        ("time.sleep(60)", {"silent_seconds": 0.6}, "no_progress"),
        (
            # It is alive and says so, but it says the same all the time.
            'while True:\n    tell("progress", step=1, steps=2, memory_bytes=1)\n    time.sleep(0.05)',
            {"silent_seconds": 0.8},
            "no_progress",
        ),
        (
            # The memory of all its processes counts.
            'block = "b = bytearray(150_000_000); import time; time.sleep(60)"\n'
            "[subprocess.Popen([sys.executable, '-c', block]) for _ in range(2)]\ntime.sleep(60)",
            {"memory_bytes": 250_000_000},
            "memory_limit",
        ),
    ],
)
def test_a_program_beyond_its_limits_is_stopped_and_fails_with_their_name(
    tmp_path: Path, body: str, limits: dict[str, Any], code: str
) -> None:
    end = run(tmp_path, body, **limits).end
    assert end is not None and end.failed is not None
    assert end.failed.code == code


def test_asked_to_stop_it_may_leave_a_checkpoint_and_one_that_does_not_listen_is_killed(
    tmp_path: Path,
) -> None:
    listens = """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
        tell("progress", step=1, steps=2)
        time.sleep(60)
        """
    end = run(tmp_path, listens, lambda seen: "cancelled" if has_begun(seen) else None).end
    assert end is not None
    assert (end.how, end.why, end.left_checkpoint) == ("stopped", "cancelled", True)
    began = time.monotonic()
    deaf = listens.replace("lambda *_: sys.exit(75)", "signal.SIG_IGN")
    end = run(tmp_path, deaf, lambda seen: "leaving" if has_begun(seen) else None, stop_seconds=0.5).end
    assert end is not None
    assert (end.how, end.why, end.left_checkpoint) == ("stopped", "leaving", False)
    assert time.monotonic() - began < 55, "it would have ended by itself"


@pytest.mark.parametrize("how", ["ends", "is lost", "loses its keeper"])
def test_nothing_that_a_program_started_outlives_it(tmp_path: Path, how: str) -> None:
    body = 'tell("progress", step=child(), steps=os.getpid())\n'
    body += {
        "ends": 'tell("ended")',
        "is lost": "time.sleep(60)",
        # Long enough that its children were seen.
        "loses its keeper": "time.sleep(2.5)\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)",
    }[how]
    seen = run(tmp_path, body, lambda seen: "lost" if how == "is lost" and has_begun(seen) else None)
    (begun,) = seen.events
    assert isinstance(begun, Progress)
    for pid in (begun.step, begun.steps):
        assert not lives(pid)


def test_a_keeper_whose_parent_is_gone_takes_everything_with_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    pids_file = str(tmp_path / "pids")
    told = f"open({pids_file!r}, 'w').write(f'{{os.getpid()}} {{child()}}\\n')\ntime.sleep(99)"
    program.write_text(_BEGIN + told)
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            "command = [sys.executable, sys.argv[1], str(os.getpid()), '10', sys.executable, sys.argv[2]]\n"
            "subprocess.Popen(command)\n"
            "time.sleep(99)",
            str(KEEPER),
            str(program),
        ]
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists() or not (tmp_path / "pids").read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert psutil.Process(pids[0]).nice() == 10
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
