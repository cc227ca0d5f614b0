"""A TCP proxy that can be told to behave badly, between a worker and the object store or the broker.

It forwards bytes as they are, so signatures hold, unless a mood is set: `refuse` answers every new request with a 500,
`slow` waits before it passes anything on, `cut` ends answers after a few hundred bytes, `hang` takes connections and
says nothing (half open).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Mood = Literal["well", "refuse", "slow", "cut", "hang"]
_REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nContent-Length: 68\r\n"
    b"Connection: close\r\n\r\n<Error><Code>InternalError</Code><Message>Bad day.</Message></Error>"
)
_CUT_AFTER = 300  # bytes, within the head of an answer
_SLOWLY_SECONDS = 0.5


class Proxy:
    """Listens on a free port of this machine for as long as the block lasts."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.mood: Mood = "well"
        self.cut_after = _CUT_AFTER
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @contextmanager
    def feeling(self, mood: Mood) -> Iterator[None]:
        """Behaves badly for a block. Connections made before it are ended, so that everybody notices."""
        self.mood = mood
        for one in list(self._open):
            _close(one)
        try:
            yield
        finally:
            self.mood = "well"
            for one in list(self._open):
                _close(one)

    def close(self) -> None:
        _close(self._listener)
        for one in list(self._open):
            _close(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        try:
            if self.mood == "hang":
                while self.mood == "hang" and client in self._open:
                    time.sleep(0.1)
                return
            if self.mood == "refuse":
                client.recv(65_536)
                client.sendall(_REFUSAL)
                return
            with socket.create_connection(self._target, timeout=5) as server:
                server.settimeout(None)
                self._open.add(server)
                there = threading.Thread(target=self._pump, args=(client, server, False), daemon=True)
                there.start()
                self._pump(server, client, True)
                self._open.discard(server)
        except OSError:
            return
        finally:
            self._open.discard(client)
            _close(client)

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.mood == "slow":
                    time.sleep(_SLOWLY_SECONDS)
                if answers and self.mood == "cut":
                    data = data[: max(0, self.cut_after - passed)]
                sink.sendall(data)
                passed += len(data)
                if answers and self.mood == "cut" and passed >= self.cut_after:
                    break
        for end in (sink, source):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
