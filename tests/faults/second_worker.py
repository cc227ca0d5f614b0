"""A second worker beside the stack's own, as another host would have one: its road to broker and store can be cut."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psutil

from core.config import load_settings
from tests.end_to_end.house import House
from tests.faults.proxy import Proxy

_BROKER, _STORE = "VOICESKETCH_BROKER_URL", "VOICESKETCH_S3_ENDPOINT_URL"


class SecondWorker:
    """The very command of the stack's worker, with its surroundings, through two proxies."""

    def __init__(self, house: House, log: Path) -> None:
        own = psutil.Process(house.running.record().children["worker"].pid)
        self._environ = own.environ()
        self.settings = load_settings(self._environ)  # as the stack's own worker has them
        self._command = [part.replace("worker@", "second@") for part in own.cmdline()]
        self._folder = own.cwd()
        self._log = log
        self.broker_url = self._environ[_BROKER]
        self.broker, self.store = (self._through_proxy(name) for name in (_BROKER, _STORE))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.broker.close()
        self.store.close()

    def start(self, more: Mapping[str, str] | None = None) -> None:
        """
        Args:
            more: of its environment, until it is started again.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**self._environ, **(more or {})},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def told(self) -> str:
        """What it has written to its log so far."""
        return self._log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """The worker and its child that draws."""
        if self._process is None or self._process.poll() is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def kill(self) -> None:
        """`kill -9`, child and all."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def limited(self, what: int, limit: Callable[[psutil.Process], int]) -> Iterator[None]:
        """Its processes have a limit for a block, told from each of them as it is when the block begins."""
        held = [process for process in self.family() if not _decodes_or_is_gone(process)]
        for process in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                _, most = process.rlimit(what)
                process.rlimit(what, (limit(process), most))
        try:
            yield
        finally:
            for process in held:
                with contextlib.suppress(psutil.NoSuchProcess):
                    _, most = process.rlimit(what)
                    process.rlimit(what, (most, most))

    def _signal(self, number: signal.Signals) -> None:
        for process in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def _through_proxy(self, name: str) -> Proxy:
        parts = urlsplit(self._environ[name])
        assert parts.hostname is not None
        assert parts.port is not None
        proxy = Proxy((parts.hostname, parts.port))
        account = parts.netloc.rpartition("@")[0]
        place = f"{parts.hostname}:{proxy.port}"
        netloc = f"{account}@{place}" if account else place
        self._environ[name] = urlunsplit(parts._replace(netloc=netloc))
        return proxy


def _decodes_or_is_gone(process: psutil.Process) -> bool:
    """A decoder that an earlier round killed is a zombie until its worker next wants it."""
    try:
        return "worker.decoding" in process.cmdline()
    except psutil.Error:
        return True
