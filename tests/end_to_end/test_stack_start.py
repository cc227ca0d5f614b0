"""`voicesketch up`, the real thing: what it opens, whom it lets in, and the one sentence when it cannot start."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from core.client import Client
from core.doctor import data_folder
from core.doctor.round import of_a_place
from core.stack.child import session_members
from core.stack.inspection import memory
from core.stack.keeping import settings_of_place
from core.stack.launch import RunningStack, running_stack
from core.stack.ports import choose
from tests.conftest import REPOSITORY
from tests.living import lives

pytestmark = pytest.mark.stack

NOBODY = 65534
VOICESKETCH = [sys.executable, "-m", "core.cli.main"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack") / "data with a space", environ=os.environ) as running:
        yield running


def test_it_answers_with_the_token_it_wrote_down(stack: RunningStack) -> None:
    assert requests.get(f"{stack.url}/healthz", timeout=10).status_code == 200
    assert list(Client(stack.url, stack.token).jobs(limit=1)) == []


def test_the_printed_link_signs_in_once(stack: RunningStack) -> None:
    first, second = requests.Session(), requests.Session()
    assert first.get(stack.sign_in_link, timeout=10).status_code == 200
    assert (
        second.get(stack.sign_in_link, timeout=10).status_code >= 400
        or "sign" in second.get(stack.url, timeout=10).url
    )


def test_every_part_listens_on_loopback_only(stack: RunningStack) -> None:
    pids = [pid for child in stack.record().children.values() for pid in session_members(child.pid)]
    addresses = {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_what_it_writes_is_for_its_owner_only(stack: RunningStack) -> None:
    assert stat.S_IMODE(stack.folder.path.stat().st_mode) == 0o700
    for file in (stack.folder.credentials, stack.folder.client, stack.folder.record, stack.folder.ledger):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((stack.folder.valkey / "valkey.conf").stat().st_mode) == 0o600


def test_no_secret_is_in_a_command_line_or_a_log(stack: RunningStack) -> None:
    secrets = [*stack.folder.credentials.read_text().split('"')[3::4], stack.token]
    assert len(secrets) == 5
    told = [" ".join(psutil.Process(child.pid).cmdline()) for child in stack.record().children.values()]
    told += [log.read_text(errors="replace") for log in (stack.folder.path / "logs").iterdir()]
    # The access key names the user and is sent in the clear with every S3 request: it is no secret.
    access_key = secrets[1]
    for text in told:
        assert not any(secret in text for secret in secrets if secret != access_key)


def test_the_memory_of_every_part_is_told(stack: RunningStack) -> None:
    used = memory(stack.folder)
    assert set(used["rss_bytes"]) == {
        *("supervisor", "guardian", "valkey", "seaweedfs", "worker", "ticker", "dashboard")
    }
    assert all(bytes_ > 2**20 for bytes_ in used["rss_bytes"].values())
    assert used["rss_bytes"]["dashboard"] < 300 * 2**20, "no torch in there"


def test_the_doctor_has_nothing_to_say_about_it(stack: RunningStack) -> None:
    until = time.monotonic() + 60
    while True:
        with settings_of_place(stack.folder.path, {}) as settings:
            found = [*of_a_place(settings), *data_folder.look(stack.folder.path)]
        # How full its disk is, is the machine's own business.
        problems = [one.sentence() for one in found if one.severity == "problem" and one.part != "disk"]
        if not problems:
            break
        # The ticker may have been through no round yet.
        assert time.monotonic() < until, problems
        time.sleep(0.5)


def test_a_second_one_on_the_same_folder_ends_with_one_sentence(stack: RunningStack) -> None:
    answer = up("--data", str(stack.folder.path), "--port", str(choose(["any"])["any"]))
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert f"is in use by another voicesketch (process {stack.supervisor.pid})" in answer.stderr


def test_a_port_in_use_ends_with_one_sentence(tmp_path: Path) -> None:
    port = choose(["any"])["any"]
    with socket.create_server(("127.0.0.1", port)):
        answer = up("--data", str(tmp_path), "--port", str(port))
    assert answer.returncode == 2
    assert answer.stderr == f"Port {port} is in use by another program; choose another with --port.\n"


def test_a_folder_that_cannot_be_written_to_ends_with_one_sentence() -> None:
    answer = up("--data", "/proc/voicesketch-data")
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "cannot be written to" in answer.stderr


def test_ctrl_c_on_a_terminal_ends_everything(tmp_path: Path) -> None:
    """The whole foreground group gets the signal, as from a terminal; only the supervisor acts on it.

    Within fifteen seconds on a machine that has time: tests/core/stack/test_supervisor.py.
    """
    port = choose(["any"])["any"]
    command = [*VOICESKETCH, "up", "--data", str(tmp_path / "data"), "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True
    )
    assert process.stdout is not None
    lines = []
    while not (lines and lines[-1].startswith("Ctrl-C")):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    pids = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    os.killpg(process.pid, signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert rest.splitlines() == ["Stopping…", "Stopped."]
    assert any("/sign-in/" in line for line in lines)
    assert not any(map(lives, pids))


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="becoming another user needs setpriv (util-linux)"
)
def test_an_ordinary_user_can_run_it(tmp_path: Path) -> None:
    """With a home folder that does not exist, as for many a service account."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)
    # The checkout and this very Python may lie in root's home: reading and passing through stays allowed, nothing else.
    as_nobody = [
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
    ]
    code = (
        "import os, pathlib, sys\n"
        "from core.client import Client\n"
        "from core.stack.launch import running_stack\n"
        "with running_stack(pathlib.Path(sys.argv[1]), environ=os.environ) as stack:\n"
        "    print(len(list(Client(stack.url, stack.token).jobs(limit=1))), os.getuid())\n"
    )
    answer = subprocess.run(
        [*as_nobody, sys.executable, "-c", code, str(data)],
        cwd=REPOSITORY,
        env={**os.environ, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.stdout == f"0 {NOBODY}\n", answer.stderr


def up(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VOICESKETCH, "up", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
