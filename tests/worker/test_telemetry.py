"""What a worker tells of its work on real parts: lines with ids, errors without anything personal."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from core.code_identity import code_name
from core.config import BUNDLED_WEIGHTS
from core.errors import InvalidSettings, StorageUnavailable
from core.watching.error_hook import ErrorHook, SentryHook, make_hook
from core.watching.logs import set_up_logs
from tests.conftest import REPOSITORY
from tests.worker.place import Place

SAMPLES = REPOSITORY / "samples"
pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    hooks = sys.excepthook, threading.excepthook
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers = handlers
    sys.excepthook, threading.excepthook = hooks


class Receiver:
    """Takes what is sent to it, as Sentry would, and keeps the events."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        kept = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.dsn = f"http://public@127.0.0.1:{self.server.server_port}/1"

    def events(self) -> list[dict[str, Any]]:
        lines = [line for body in self.bodies for line in body.splitlines()]
        return [one for one in map(json.loads, lines) if "exception" in one]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_lines_of_a_worker_name_job_and_attempt_and_its_errors_are_told_without_names(
    place: Place, receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import worker.drawing
    from worker.runner import Runner

    hook = make_hook(receiver.dsn, "worker")
    assert isinstance(hook, SentryHook)
    set_up_logs(form="json", part="worker", tell=hook.tell)
    right = worker.drawing.hand_out

    def faulty(store: Any, chunk: Any, item: Any, *rest: Any) -> Any:
        if item.name == "secret name of Ada.flac":
            raise ZeroDivisionError(f"no face of {item.name}")
        return right(store, chunk, item, *rest)

    monkeypatch.setattr(worker.drawing, "hand_out", faulty)
    one, other = (path.read_bytes() for path in sorted(SAMPLES.glob("*.flac"))[:2])
    job = place.submit({"secret name of Ada.flac": one, "b.flac": other})
    runner = Runner(place.settings)
    runner.run_until_idle()
    runner.close()
    hook.close()

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {"claimed", "loaded", "finished", "unexpected"} <= {line["event"] for line in lines}
    assert all(line["part"] == "worker" and line["timestamp"] and line["level"] for line in lines)
    at_work = [line for line in lines if line["event"] in ("claimed", "loaded", "finished", "unexpected")]
    assert {line["job"] for line in at_work} == {job}
    assert len({line["attempt"] for line in at_work}) == 1 and at_work[0]["attempt"].startswith("att")
    assert "ZeroDivisionError" in next(one for one in lines if one["event"] == "unexpected")["exception"]

    [event] = receiver.events()
    [error] = event["exception"]["values"]
    assert (error["type"], event["transaction"], event["release"]) == (
        "ZeroDivisionError",
        "unexpected",
        code_name(),
    )
    assert event["tags"]["job"] == job and event["tags"]["attempt"] == at_work[0]["attempt"]
    assert [frame["function"] for frame in error["stacktrace"]["frames"]][-1] == "faulty"
    sent = b"".join(receiver.bodies)
    for personal in (
        b"Ada",
        b"secret",
        b"no face of",
        str(REPOSITORY).encode(),
        b'"vars"',
        b'server_name":"h',
    ):
        assert personal not in sent, personal


def test_the_same_error_is_told_once_a_minute_and_codes_of_ours_with_it(receiver: Receiver) -> None:
    hook = make_hook(receiver.dsn, "ticker")
    assert isinstance(hook, SentryHook)
    for _ in range(3):
        try:
            raise StorageUnavailable("at https://somewhere.private")
        except StorageUnavailable as error:
            hook.tell("this round failed", error, {"step": "tidy", "path": "/home/ada"})
    hook.close()
    [event] = receiver.events()
    assert event["tags"] == {"part": "ticker", "step": "tidy", "code": "storage_unavailable"}
    assert b"private" not in b"".join(receiver.bodies) and b"/home/ada" not in b"".join(receiver.bodies)


def test_uncaught_errors_and_those_of_libraries_are_told_and_a_hook_that_fails_ends_nothing() -> None:
    told: list[tuple[str, str]] = []

    def tell(event: str, error: BaseException, known: Any) -> None:
        told.append((event, type(error).__name__))
        raise RuntimeError("the hook itself fails")

    threading.excepthook = lambda given: None
    set_up_logs(tell=tell)
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("library").exception("message that may hold anything")
        structlog.get_logger().exception("an event")
        structlog.get_logger().warning("no error", exc_info=True)

    def fail() -> None:
        raise LookupError

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert told == [
        ("library", "KeyError"),
        ("an event", "KeyError"),
        ("uncaught in a thread", "LookupError"),
    ]


def test_nothing_of_it_is_loaded_or_sent_where_it_is_off() -> None:
    assert type(make_hook("", "worker")) is ErrorHook
    program = (
        "import sys, json\n"
        "from core.config import Settings\nfrom core.watching.telemetry import set_up_telemetry\n"
        "settings = Settings(database_url='sqlite:///x', broker_url='redis://x')\n"
        "set_up_telemetry(settings, 'ticker')\n"
        "print(json.dumps([name for name in sys.modules if name.startswith(('sentry', 'opentelemetry'))]))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == []


def test_an_address_that_is_none_ends_with_a_sentence() -> None:
    with pytest.raises(InvalidSettings, match="VOICESKETCH_SENTRY_DSN"):
        make_hook(SecretStr("nonsense").get_secret_value(), "worker")


def test_records_of_libraries_are_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(form="json", part="dashboard")
    logging.getLogger("celery.worker").warning("missed %s", "heartbeat")
    [line] = [json.loads(one) for one in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["logger"], line["part"], line["level"]) == (
        "missed heartbeat",
        "celery.worker",
        "dashboard",
        "warning",
    )
