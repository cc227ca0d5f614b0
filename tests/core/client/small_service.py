"""A real HTTP server of a few lines, for what a healthy dashboard never does: break, hang up, talk nonsense."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to send back; status 0 hangs up without a word."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def in_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def problem(status: int, code: str, detail: str) -> Answer:
    body = {"status": status, "title": "Problem", "detail": detail, "code": code}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


@dataclass
class SmallService:
    url: str
    asked: list[Asked]


@contextmanager
def small_service(answer: Callable[[Asked], Answer], port: int = 0) -> Iterator[SmallService]:
    """Serves `answer` on a free port of loopback until the block ends."""
    asked: list[Asked] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            if ended.is_set():  # a connection that a client kept open
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(self.command, self.path, dict(self.headers), body)
            asked.append(request)
            reply = answer(request)
            if reply.status == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    # Closing would otherwise wait for connections that clients keep open.
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield SmallService(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def job_answer(state: str = "running", **counts: int) -> dict[str, Any]:
    """A job as the API tells of it."""
    names = ("pending", "leased", "done", "cached", "failed", "skipped", "cancelled")
    request_counts = {name: counts.get(name, 0) for name in names}
    return {
        "id": "job_1",
        "kind": "infer",
        "name": "voices",
        "state": state,
        "model": "default@1",
        "priority": 0,
        "request_counts": {"total": sum(request_counts.values()), **request_counts},
        "rate_per_second": 2.0,
        "eta_seconds": 3.0,
        "created_at": "2026-01-02T03:04:05+00:00",
        "errors": [],
        "links": {},
    }
