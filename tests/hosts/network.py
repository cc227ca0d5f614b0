"""Machines that are none: each has a network, a host name and process numbers of its own, and a cable to one switch.

They are Linux namespaces, held open by one process each. Nothing of them has a name on the machine that they are on,
and the kernel takes all of it away (networks, mounts, processes) when that process ends, which it does with whoever
started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.stack.child import tethered
from tests.hosts import bad_cable

_TOOLS = ("ip", "unshare", "nsenter", "mount")
_NET = 0x40000000  # CLONE_NEWNET
_PREFIX = "10.77.0"
_SWITCH = "switch"
_BRIDGE = "bridge"
_DESK_HARDWARE = "02:00:00:00:00:01"
_UP_SECONDS = 30.0
# Number 1 of a host's processes: it buries those whose parents are gone, and when it ends all others end, too.
_HOLD = "import signal as s; s.signal(s.SIGCHLD, s.SIG_IGN); print('up', flush=True)\nwhile True: s.pause()"


def why_not() -> str | None:
    """Why there can be no such machines here; nothing where there can."""
    if sys.platform != "linux":
        return "network namespaces are of Linux"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"there is no {', '.join(missing)} (Debian, Ubuntu: apt install iproute2 util-linux)"
    tried = subprocess.run(
        ["unshare", "--net", "--uts", "--pid", "--fork", "--mount", "ip", "link", "add", "type", "veth"],
        check=False,
        capture_output=True,
        text=True,
    )
    return f"no namespaces may be made here: {tried.stderr.strip()}" if tried.returncode else None


def why_no_bad_cables() -> str | None:
    """Why cables here cannot be bad ones."""
    try:
        os.close(os.open(bad_cable.DEVICE, os.O_RDWR))
    except OSError as error:
        return f"there is no {bad_cable.DEVICE} to make a bad cable with: {error.strerror}"
    return None


@dataclass
class BadCable:
    """What a bad cable did, told when it is gone: how many frames it took, and how many of these it lost."""

    taken: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Host:
    name: str
    address: str
    pid: int  # of the process that holds it, as we number processes

    def command(self, command: Sequence[str], *, user: int = 0) -> list[str]:
        """What runs a command on this host, with a parent here that ends as it does."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--uts", "--pid", "--mount"]
        return [*enter, f"--setuid={user}", f"--setgid={user}", "--", *command]


class Network:
    """A switch and the hosts on it. `desk` is where somebody sits who sees all of it.

    Args:
        folder: for the files that hosts see in place of the machine's own.
        names: host names, in the order of their addresses.
        mounts: what hosts see where, by the place; the word `{name}` in the source is the host's own name.
    """

    def __init__(self, folder: Path, names: Sequence[str], mounts: Mapping[str, str]) -> None:
        self.addresses = {name: f"{_PREFIX}.{number}" for number, name in enumerate(names, start=10)}
        self.desk = f"{_PREFIX}.1"
        self._hosts_file = folder / "hosts"
        self._mounts = mounts
        self._open = ExitStack()
        self._switch: Host | None = None
        self.hosts: dict[str, Host] = {}

    @contextmanager
    def up(self) -> Iterator[Network]:
        lines = [f"{address} {name}" for name, address in self.addresses.items()]
        self._hosts_file.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        with self._open:
            self._switch = self._hold(_SWITCH, self.desk)
            # An address of its own: otherwise the desk's would be that of whichever cable has the lowest.
            self._on_switch("link", "add", _BRIDGE, "address", _DESK_HARDWARE, "type", "bridge")
            self._on_switch("address", "add", f"{self.desk}/24", "dev", _BRIDGE)
            self._on_switch("link", "set", _BRIDGE, "up")
            for name, address in self.addresses.items():
                self.hosts[name] = host = self._hold(name, address)
                peer = ["peer", "name", "eth0", "netns", str(host.pid)]
                self._on_switch("link", "add", _port(name), "type", "veth", *peer)
                self._on_switch("link", "set", _port(name), "master", _BRIDGE, "up")
                subprocess.run(
                    host.command(["ip", "address", "add", f"{address}/24", "dev", "eth0"]), check=True
                )
                subprocess.run(host.command(["ip", "link", "set", "eth0", "up"]), check=True)
            yield self

    def cut(self, name: str) -> None:
        """Pull a host's cable: whatever is under way to it or from it is lost, without a word to anybody."""
        self._on_switch("link", "set", _port(name), "down")

    def mend(self, name: str) -> None:
        self._on_switch("link", "set", _port(name), "up")

    @contextmanager
    def bad_cable(self, name: str, *, lost: float, late_seconds: float) -> Iterator[BadCable]:
        """A host has a cable that loses a share of all frames, and brings the others late, each way."""
        assert self._switch is not None
        near, far, beyond = (f"{end}-{self.addresses[name].rpartition('.')[2]}" for end in ("a", "b", "c"))
        carrier = [sys.executable, "-I", bad_cable.__file__, near, far, str(lost), str(late_seconds)]
        told = BadCable()
        with subprocess.Popen(
            self._switch.command(carrier), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n", "no bad cable can be made"
            self._on_switch("link", "add", beyond, "type", "bridge")
            self._on_switch("link", "set", beyond, "up")
            self._on_switch("link", "set", near, "master", _BRIDGE, "up")
            self._on_switch("link", "set", far, "master", beyond, "up")
            self._on_switch("link", "set", _port(name), "master", beyond)
            try:
                yield told
            finally:
                self._on_switch("link", "set", _port(name), "master", _BRIDGE)
                for below in psutil.Process(process.pid).children():
                    below.terminate()
                told.taken, told.lost = map(int, process.stdout.readline().split())
                process.wait()
                self._on_switch("link", "delete", beyond)

    @contextmanager
    def at_the_desk(self) -> Iterator[None]:
        """This thread, and those that it starts meanwhile, are on the switch's network."""
        assert self._switch is not None
        there = Path(f"/proc/{self._switch.pid}/ns/net")
        with Path("/proc/thread-self/ns/net").open() as home, there.open() as other:
            _enter(other.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def _hold(self, name: str, address: str) -> Host:
        """Makes the namespaces of a host and waits until it is up."""
        lines = ["set -e", f"hostname {name}", "mount -t proc proc /proc", "ip link set lo up"]
        lines.append(f"mount --bind '{self._hosts_file}' /etc/hosts")
        for place, source in self._mounts.items() if name != _SWITCH else ():
            here = source.format(name=name)
            Path(here).mkdir(parents=True, exist_ok=True)
            # Over the folder above, since the place itself need not be there.
            lines += [f"mountpoint -q '{Path(place).parent}' && [ -d '{place}' ] || {{"]
            lines += [f"mount -t tmpfs -o mode=755 tmpfs '{Path(place).parent}'; mkdir '{place}'; }}"]
            lines.append(f"mount --bind '{here}' '{place}'")
        lines.append(f"exec '{sys.executable}' -I -S -c \"$HOLD\"")
        namespaces = [
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--mount",
            "--propagation=private",
        ]
        command = ("unshare", *namespaces, "sh", "-c", "\n".join(lines))
        process = subprocess.Popen(
            tethered(command, signal.SIGKILL),
            env={**os.environ, "HOLD": _HOLD},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self._open.callback(_end, process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n", f"{name} does not come up"
        return Host(name, address, psutil.Process(process.pid).children()[0].pid)

    def _on_switch(self, *arguments: str) -> None:
        assert self._switch is not None
        subprocess.run(["nsenter", f"--target={self._switch.pid}", "--net", "ip", *arguments], check=True)


def _port(name: str) -> str:
    """Names of interfaces have 15 letters at most."""
    return f"to-{name}"[:15]


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, _NET):
        raise OSError(ctypes.get_errno(), "cannot enter a network")


def _end(process: subprocess.Popen[str]) -> None:
    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    deadline = time.monotonic() + _UP_SECONDS
    while any(_lives(one) for one in below) and time.monotonic() < deadline:
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
