"""A service as the tutorial starts it, for the pages that say how to do one thing with it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.client import Client
from core.client_views import JobView
from core.config import Settings
from core.service import find_service
from core.stack.keeping import settings_of_place
from core.stack.ports import choose
from core.store import Store
from tests.conftest import REPOSITORY
from tests.docs.played_pages import blocks
from tests.docs.terminals import Running, Terminal, checkout, surroundings

HOW_TO = REPOSITORY / "docs" / "how-to"
SAMPLES = ("compass.flac", "market.ogg", "station.mp3")
# What a page has in place of a name that only its reader knows: JOB, FILE.h5, NAME@VERSION.
_BLANK = re.compile(r"(?<![\w-])[A-Z][A-Z_]{2,}\b")


@dataclass
class Room:
    """A folder to work in, and a terminal there with the environment at hand."""

    folder: Path
    terminal: Terminal
    house: House

    def type(self, command: str, *, ends_with: int = 0) -> str:
        answer = self.terminal.type(command)
        assert answer.code == ends_with, f"{command} ended with {answer.code}:\n{answer.printed}"
        assert "Traceback" not in answer.printed, answer.printed
        return answer.printed

    def play(self, page: str, instead: Mapping[str, str] | None = None) -> Iterator[tuple[str, str]]:
        """Types the commands of a page, one at each step; answers each as it was typed, and what it printed.

        A command within a sentence that has blanks which `instead` does not fill is a form and passed over.

        Args:
            instead: what stands here for words of the page.
        """
        filled = dict(instead or {})
        for block in blocks(HOW_TO / f"{page}.md"):
            for command in block.commands:
                for words, others in filled.items():
                    command = command.replace(words, others)
                if block.is_within and _BLANK.search(command):
                    continue
                yield command, self.type(command)


@dataclass
class House:
    """The running service. `client` speaks to it as its administrator."""

    clone: Path
    environ: dict[str, str]
    running: Running

    @property
    def data(self) -> Path:
        return self.clone / "voicesketch-data"

    @property
    def client(self) -> Client:
        return find_service(data=self.data)

    @contextmanager
    def settings(self) -> Iterator[Settings]:
        with settings_of_place(self.data, {}) as settings:
            yield settings

    def store(self) -> Store:
        with self.settings() as settings:
            return Store(settings)

    @contextmanager
    def room(self, folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Room]:
        folder.mkdir(parents=True, exist_ok=True)
        environ = {**self.environ, "VOICESKETCH_DATA": str(self.data), **(more or {})}
        terminal = Terminal(folder, environ)
        try:
            room = Room(folder, terminal, self)
            room.type(f". '{self.clone}/.venv/bin/activate'")
            yield room
        finally:
            terminal.close()

    def newest(self) -> JobView:
        return next(iter(self.client.jobs(limit=1)))

    @contextmanager
    def nobody_at_work(self) -> Iterator[None]:
        """Workers that have drawn claim nothing while this lasts."""
        workers = [
            one["id"] for one in self.client.workers() if one["state"] not in ("gone", "silent", "leaving")
        ]
        assert workers, "nobody has worked here yet"
        for worker in workers:
            self.client.drain(worker)
        try:
            self._wait_until_heard(set(workers))
            yield
        finally:
            for worker in workers:
                self.client.undrain(worker)

    def _wait_until_heard(self, workers: set[str]) -> None:
        """A worker looks for orders before each heartbeat: after two more it has seen what it was told by now."""
        beats: dict[str, set[str]] = {worker: set() for worker in workers}
        until = time.monotonic() + 120
        while any(len(seen) < 3 for seen in beats.values()):
            assert time.monotonic() < until, f"no heartbeat of {beats}"
            time.sleep(0.1)
            for one in self.client.workers():
                if one["id"] in beats:
                    beats[one["id"]].add(one["seen_at"])


@contextmanager
def open_house(folder: Path, settings: tuple[str, ...] = ()) -> Iterator[House]:
    """A clone below a folder, with its service.

    Args:
        settings: variables of the service, as `NAME=value`.
    """
    clone = folder / "voicesketch"
    clone.mkdir(parents=True)
    environ = surroundings(checkout(clone), folder / "home")
    port = choose(["any"])["any"]
    commands = (". .venv/bin/activate", *(f"export {one}" for one in settings))
    running = Running((*commands, f"voicesketch up --port {port}"), clone, environ)
    try:
        yield House(clone, environ, running)
    finally:
        running.close()
