"""Gunicorn's threads, kept from those who hold on to them: silence, requests in drops, answers that nobody reads.

A thread reads a request from its first byte to its last and writes the whole answer, so a laptop that is shut in the
middle of an upload would keep one for good, and a few dozen would keep them all. Ended connections are seen off by the
thread that served them: gunicorn does it in the one thread that takes new connections in, two seconds each.

Against many who mean harm only a proxy in front helps, which reads requests before it passes them on.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker


class _Line(socket.socket):
    """A connection that knows how long its other end was waited for in this request."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.begin()

    def begin(self) -> None:
        """A new request."""
        self._since: float | None = None
        self._waited, self._received = 0.0, 0

    def recv(self, *arguments: Any) -> bytes:
        self._since = began = time.monotonic()
        try:
            data = super().recv(*arguments)
        finally:
            self._since = None
            self._waited += time.monotonic() - began
        self._received += len(data)
        return data

    def sendall(self, *arguments: Any) -> None:
        try:
            super().sendall(*arguments)
        except BlockingIOError as error:  # the system's patience is over; for gunicorn somebody has just left
            raise BrokenPipeError(errno.EPIPE, "nobody reads the answer") from error

    def setblocking(self, flag: bool) -> None:
        if self.fileno() >= 0:  # closed ones are closed once more
            super().setblocking(flag)

    def is_too_slow(self, grace_seconds: float, bytes_per_second: float) -> bool:
        """Whether it was waited for longer than what came is worth."""
        since = self._since
        waited = self._waited + (time.monotonic() - since if since is not None else 0.0)
        return since is not None and waited > grace_seconds + self._received / bytes_per_second


def _is_read(conn: TConn) -> bool:
    """Whether the request that a connection ended with was read to its last byte."""
    body = getattr(getattr(conn.parser, "mesg", None), "body", None)
    reader = getattr(body, "reader", None)
    return isinstance(reader, LengthReader) and reader.length == 0


class _Listener:
    """Hands out such connections."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def accept(self) -> tuple[_Line, Any]:
        accepted, address = self._listener.accept()
        return _Line(accepted), address

    def getsockname(self) -> Any:
        return self._listener.getsockname()


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """As `gthread`, with an end to its patience."""

    grace_seconds = 30.0  # of waiting for a request, beside what its bytes are worth
    bytes_per_second = 1024.0
    unread_seconds = 60  # that an answer stands still, though the other end is there

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._at_work: set[_Line] = set()

    def accept(self, listener: socket.socket) -> None:
        super().accept(_Listener(listener))

    def handle(self, conn: TConn) -> object:
        line = conn.sock
        if not isinstance(line, _Line):  # taken over by TLS
            return super().handle(conn)
        if not (conn.initialized or conn.data_ready or conn.wait_for_data(0)):
            return _DEFER  # waited for by the loop and not by a thread, for five seconds each
        line.begin()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", self.unread_seconds, 0))
        self._at_work.add(line)
        try:
            goes_on: object = super().handle(conn)
        finally:
            self._at_work.discard(line)
        if not goes_on and conn.sock is line:
            with contextlib.suppress(OSError):
                # What is still being sent is waited for, or the answer would be lost with it.
                conn.close(graceful=not _is_read(conn))
        return goes_on

    def murder_pending(self) -> None:
        """Gunicorn's word for its round, about once a second, over those who send nothing."""
        super().murder_pending()
        for line in self._at_work.copy():
            if line.is_too_slow(self.grace_seconds, self.bytes_per_second):
                with contextlib.suppress(OSError):  # it has just ended by itself
                    line.shutdown(socket.SHUT_RDWR)  # whoever reads from it finds its end
