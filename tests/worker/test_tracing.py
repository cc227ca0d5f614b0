"""The trace of a job, from the request that makes it to its pictures, put together by processes that share nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.config import BUNDLED_WEIGHTS
from core.people.accounts import issue_token
from core.ticker import tick
from core.watching.tracing import OpenTelemetryTracer, Tracer, trace_id_of, tracer, use_tracer
from dashboard.app import create_app
from dashboard.services import services
from tests.conftest import REPOSITORY
from tests.factories import FakeDoorbell
from tests.worker.place import Place


@pytest.fixture
def as_before() -> Iterator[None]:
    before = tracer()
    yield
    use_tracer(before)


class Part:
    """A process that traces: its tracer, and what it sent."""

    def __init__(self, name: str, share: float = 1.0) -> None:
        self.sent = InMemorySpanExporter()
        self.tracer = OpenTelemetryTracer(name, "", share=share, exporter=self.sent)


@pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")
@pytest.mark.usefixtures("as_before")
def test_a_job_is_one_trace_from_the_request_to_its_pictures(place: Place) -> None:
    parts = {name: Part(name) for name in ("dashboard", "ticker", "worker")}
    app = create_app(place.settings)
    with place.database.write() as session:
        token = issue_token(session, place.ledger.user(), "tests")
    headers = {"Authorization": f"Bearer {token}"}

    use_tracer(parts["dashboard"].tracer)
    items = []
    browser = app.test_client()
    for path in sorted((REPOSITORY / "samples").glob("*.flac"))[:2]:
        sent = browser.put("/api/v1/recordings", data=path.read_bytes(), headers=headers).json
        items.append({"key": path.name, "name": "name of Ada.flac", "recording": sent["recording"]})
    items.append(
        {
            "key": "broken",
            "name": "broken",
            "recording": browser.put(
                "/api/v1/recordings", data=b"fLaC and nothing that can be heard", headers=headers
            ).json["recording"],
        }
    )
    before = time.time_ns()
    asked = {"headers": {**headers, "Idempotency-Key": "once"}, "json": {"items": items, "name": "of Ada"}}
    job = browser.post("/api/v1/jobs", **asked).json["id"]
    assert browser.post("/api/v1/jobs", **asked).json["id"] == job, "found again, and not traced again"
    use_tracer(parts["ticker"].tracer)
    tick(place.database, FakeDoorbell(), place.settings)
    use_tracer(parts["worker"].tracer)
    place.work()
    with app.app_context():
        services().database.dispose()

    spans = {name: part.sent.get_finished_spans() for name, part in parts.items()}
    assert [span.name for span in spans["dashboard"]] == ["submit"]
    assert [span.name for span in spans["ticker"]] == ["ring"]
    counted = Counter(span.name for span in spans["worker"])
    assert counted["claim"] == counted["attempt"] == 1 and counted["publish"] >= 1 and counted["draw"] >= 1
    assert (counted["hear"], counted["hand out"]) == (3, 2)

    everything = [span for part in spans.values() for span in part]
    assert {span.context.trace_id for span in everything} == {trace_id_of(job)}
    [submit] = spans["dashboard"]
    attempt = next(span for span in spans["worker"] if span.name == "attempt")
    assert submit.parent is None
    for span in everything:
        below = submit if span.name in ("ring", "claim", "attempt") else attempt
        if span is not submit:
            assert span.parent is not None and span.parent.span_id == below.context.span_id, span.name
        assert before <= (span.start_time or 0) <= (span.end_time or 0)
        assert span.attributes is not None and span.attributes["voicesketch.job"] == job
    inner = [span for span in spans["worker"] if span.name in ("hear", "draw", "hand out", "publish")]
    assert min(span.start_time or 0 for span in inner) >= (attempt.start_time or 0)
    assert max(span.end_time or 0 for span in inner) <= (attempt.end_time or 0)
    came = Counter(
        span.attributes["voicesketch.outcome"] for span in inner if span.name == "hear" and span.attributes
    )
    assert came == {"Heard": 2, "corrupt_audio": 1}
    assert "Ada" not in "".join(span.to_json() for span in everything)


@pytest.mark.usefixtures("as_before")
def test_a_share_of_jobs_is_the_same_share_for_every_process() -> None:
    half = [Part(name, share=0.5) for name in ("dashboard", "ticker")]
    jobs = [f"job_{number}" for number in range(200)]
    for part in half:
        for job in jobs:
            part.tracer.submitted(job, time.time())
    seen = [{span.context.trace_id for span in part.sent.get_finished_spans()} for part in half]
    assert seen[0] == seen[1]
    assert 60 < len(seen[0]) < 140


def test_spans_are_sent_to_a_collector_by_otlp() -> None:
    arrived: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        sending = OpenTelemetryTracer("ticker", f"http://127.0.0.1:{server.server_port}/")
        sending.record("ring", "job_1", time.time(), rings=1)
        sending.close()
    finally:
        server.shutdown()
        server.server_close()
    [(path, body)] = arrived
    assert path == "/v1/traces"
    assert b"voicesketch-ticker" in body and trace_id_of("job_1").to_bytes(16, "big") in body


def test_where_nothing_is_traced_everything_that_is_told_goes_nowhere() -> None:
    silent = Tracer()
    assert silent.submitted("job_1", 0.0) is silent.record("ring", "job_1", 0.0) is None
    with pytest.raises(ZeroDivisionError), silent.span("draw") as span:
        span.set("outcome", "none")
        raise ZeroDivisionError
