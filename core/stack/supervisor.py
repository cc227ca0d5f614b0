"""Starts the stack, keeps it up, and stops it: the process behind `voicesketch up`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from core.errors import StackError
from core.stack import record as records
from core.stack import seaweed
from core.stack.child import Child, Program, ending, last_lines
from core.stack.credentials import load_or_create
from core.stack.folder import DataFolder, locked
from core.stack.logs import trim
from core.stack.ports import choose_and_remember, why_not
from core.stack.record import Process, Record, end_leftovers
from core.stack.restarts import Restarts
from core.stack.services import Services, services_of

GUARDIAN = Path(__file__).with_name("guardian.py")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Together they stay under the 15 s that stopping may take.
PROGRAMS_STOP_SECONDS = 8.5
SERVERS_STOP_SECONDS = 3.5
LOOK_SECONDS = 0.2
TRIM_EVERY_SECONDS = 10.0

MakeServices = Callable[[DataFolder, Mapping[str, int]], Services]


def run_stack(
    data: Path, port: int | None, environ: Mapping[str, str], say: Callable[[str], None] = print
) -> None:
    """Runs the whole stack until a signal asks it to stop. Call it from the main thread of a process.

    Args:
        data: the data folder, made where needed.
        port: of the dashboard; None takes any free one, the same at every start where possible.
        environ: what children inherit, less what would confuse them.
        say: told what people should know, a line at a time.

    Raises:
        StackError: it cannot start, or a part of it does not stay up.
    """

    def make(folder: DataFolder, ports: Mapping[str, int]) -> Services:
        return services_of(folder, ports, load_or_create(folder.credentials), environ)

    if port is not None and not data.exists():
        _check_port(port)  # before a folder is made for nothing
    with locked(data) as folder:
        Supervisor(folder, port, make, say).run()


def _check_port(port: int) -> None:
    if reason := why_not(port):
        raise StackError(f"Port {port} {reason}; choose another with --port.")


class Supervisor:
    """One run of one stack. The folder is locked by the caller."""

    def __init__(
        self, folder: DataFolder, port: int | None, make: MakeServices, say: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._port = port
        self._make = make
        self._tell = say
        self._stops = 0  # how often we were asked to stop
        self._ports: dict[str, int] = {}
        self._record = Record(url="", supervisor=Process(os.getpid(), psutil.Process().create_time()))
        self._servers: list[Child] = []
        self._programs: list[Child] = []
        self._restarts: dict[str, Restarts] = {}
        self._guardian: subprocess.Popen[str] | None = None
        self._unwritten = False  # whether the record on disk is not the newest

    def run(self) -> None:
        with self._signals():
            try:
                self._start()
                self._watch()
            finally:
                self._stop()

    def _say(self, line: str) -> None:
        """Tells people; where nobody reads any more, or its disk is full, what runs is not stopped for that."""
        with contextlib.suppress(OSError):
            self._tell(line)

    # -- starting

    def _start(self) -> None:
        folder = self._folder
        for name in end_leftovers(folder):
            self._say(f"Ended the {name} that an earlier run had left behind.")
        if folder.has_no_space():
            raise StackError(f"The disk on which {folder.path} lies is full. Make room, then start again.")
        if folder.has_little_space():
            self._say(f"Warning: less than 1 GiB is free where {folder.path} lies.")
        self._choose_ports()
        services = self._make(folder, self._ports)
        self._record = Record(
            f"http://127.0.0.1:{self._ports['dashboard']}", supervisor=self._record.supervisor
        )
        self._say(f"voicesketch keeps everything in {folder.path}")
        self._start_guardian()
        self._bring_up(services.servers, self._servers)
        link = self._prepare(services.preparation)
        self._bring_up(services.programs, self._programs)
        if self._asked_to_stop():
            return
        self._record = Record(self._record.url, True, link, self._record.supervisor, self._record.children)
        self._write_record()
        self._say(f"Ready. Open {link or self._record.url}")
        if link:
            self._say("This link signs you in once, within the hour; every start prints a new one.")
        self._say("Ctrl-C stops everything.")

    def _choose_ports(self) -> None:
        port = self._port
        if port is not None:
            _check_port(port)
        names = ["valkey", *seaweed.PORTS]
        if port is None:
            names.append("dashboard")
        self._ports = choose_and_remember(
            names, self._folder.ports, lambda number: number != port and seaweed.suits(number), seaweed.BESIDE
        )
        if port is not None:
            self._ports["dashboard"] = port

    def _bring_up(self, programs: tuple[Program, ...], children: list[Child]) -> None:
        """Starts programs side by side and waits for them all."""
        started = []
        for program in programs:
            if self._asked_to_stop():
                return
            child = Child(program)
            children.append(child)
            started.append(child)
            self._start_child(child)
        for child in started:
            child.wait_until_ready(self._asked_to_stop)
            self._say(f"  {child.program.name:<10} {child.program.title}")

    def _start_child(self, child: Child) -> None:
        child.start()
        if child.pid is not None:
            self._tell_guardian(f"+{child.pid}")
            self._record.children[child.program.name] = Process(child.pid, child.started_at)
            self._write_record()

    def _write_record(self) -> None:
        """Where the disk is full, the next look tries again: a stack that runs goes on without."""
        try:
            records.write(self._folder, self._record)
            self._unwritten = False
        except OSError as error:
            if not self._record.ready:
                raise StackError(
                    f"Nothing can be written to {self._folder.path}: {error.strerror}. Make room, then start again."
                ) from error
            self._unwritten = True

    def _prepare(self, program: Program) -> str:
        """Runs the preparation to its end. Returns the last line it printed: the sign-in link."""
        if self._asked_to_stop():
            return ""
        program.log.unlink(missing_ok=True)
        child = Child(program)
        self._programs.append(child)
        self._start_child(child)
        while child.is_running() and not self._asked_to_stop():
            self._sleep(LOOK_SECONDS)
        self._programs.remove(child)
        child.kill()
        self._forget(child)
        code = child.exit_code()
        if code and not self._asked_to_stop():
            raise StackError(
                f"The data folder could not be made ready ({ending(code)}).{last_lines(program.log)}"
            )
        lines = program.log.read_text(errors="replace").split()
        # The link is a secret of sorts: it does not stay in a log.
        program.log.unlink(missing_ok=True)
        return lines[-1] if lines and lines[-1].startswith("http") else ""

    # -- watching

    def _watch(self) -> None:
        trimmed_at = time.monotonic()
        while not self._asked_to_stop():
            for child in (*self._servers, *self._programs):
                if not child.is_running():
                    self._revive(child)
            if self._guardian is not None and self._guardian.poll() is not None:
                self._start_guardian()
            if self._unwritten:
                self._write_record()
            if time.monotonic() - trimmed_at > TRIM_EVERY_SECONDS:
                trimmed_at = time.monotonic()
                for child in (*self._servers, *self._programs):
                    trim(child.program.log)
            self._sleep(LOOK_SECONDS)

    def _revive(self, child: Child) -> None:
        """Starts a child again once its turn has come; a child that keeps ending stops the stack."""
        name, code = child.program.name, child.exit_code()
        restarts = self._restarts.setdefault(name, Restarts())
        if child.pid is not None and not restarts.is_waiting():
            # What it left in its session may hold its port or its work.
            child.kill()
            if restarts.is_hopeless_after_another(time.monotonic()):
                raise StackError(
                    f"The {name} does not stay up: it ended {restarts.most} times within a minute "
                    f"({ending(code or 0)}).{last_lines(child.program.log)}"
                )
            self._say(f"The {name} ended ({ending(code or 0)}); it is started again.")
            self._forget(child)
        if restarts.is_due(time.monotonic()):
            self._start_child(child)

    # -- stopping

    def _stop(self) -> None:
        children = [*self._programs, *self._servers]
        if any(child.is_running() for child in children):
            self._say("Stopping…")
        self._stop_together(self._programs, PROGRAMS_STOP_SECONDS)
        self._stop_together(self._servers, SERVERS_STOP_SECONDS)
        seaweed.remove_sockets({name: port for name, port in self._ports.items() if name in seaweed.PORTS})
        for child in children:
            self._forget(child)
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            self._guardian.wait()
            self._folder.record.unlink(missing_ok=True)
            self._say("Stopped.")

    def _stop_together(self, children: list[Child], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for child in children:
            child.signal(signal.SIGTERM)
        # A second Ctrl-C hurries: whoever still runs is killed.
        while any(child.is_running() for child in children) and time.monotonic() < deadline:
            if self._stops > 1:
                break
            self._sleep(0.05)
        for child in children:
            child.kill()

    def _forget(self, child: Child) -> None:
        if child.pid is not None and self._record.children.pop(child.program.name, None) is not None:
            self._tell_guardian(f"-{child.pid}")

    # -- the guardian

    def _start_guardian(self) -> None:
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.run,
            env={},
            start_new_session=True,
            text=True,
        )
        for process in self._record.children.values():
            self._tell_guardian(f"+{process.pid}")

    def _tell_guardian(self, line: str) -> None:
        if self._guardian is None or self._guardian.stdin is None or self._guardian.stdin.closed:
            return
        try:
            self._guardian.stdin.write(line + "\n")
            self._guardian.stdin.flush()
        except BrokenPipeError:
            # It was killed; the next look at it starts another, which is told of everybody.
            return

    # -- signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Counts requests to stop while the block runs; a pipe wakes the sleeper, so that none waits for its turn."""

        def asked(_number: int, _frame: object) -> None:
            self._stops += 1

        self._wake, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, asked) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            os.close(self._wake)
            os.close(writer)

    def _asked_to_stop(self) -> bool:
        return self._stops > 0

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 64)
