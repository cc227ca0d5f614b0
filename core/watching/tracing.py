"""Traces: what becomes of a job from the request that made it to its pictures in the store. Off unless asked for.

The trace of a job has an id that is made of the job's own, and so have the spans that others hang on. Whoever knows the
job, in whichever process, after whatever restart, adds to the same trace: nothing has to be carried along in rows or
messages, and a trace is found by anybody who has the id of the job (`trace_id_of`).

```
submit ─┬─ ring
        ├─ claim
        └─ attempt ─┬─ hear (an item: fetched and decoded)
                    ├─ draw (a batch)
                    ├─ hand out (an item: encoded and stored)
                    └─ publish
```
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from core.code_identity import code_name
from core.errors import InvalidSettings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter

    from core.watching.logs import Claimed

Attribute = str | int | float | bool
_NANO = 1_000_000_000


def trace_id_of(job_id: str) -> int:
    """The id of a job's trace, as `f"{…:032x}"` writes it for people."""
    return int.from_bytes(hashlib.sha256(f"trace {job_id}".encode()).digest()[:16], "big")


def _span_id_of(what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"span {what}".encode()).digest()[:8], "big")


class Span:
    """What can be added to a span while it lasts; here it goes nowhere."""

    def set(self, name: str, value: Attribute) -> None:
        """Adds a fact. Ids, counts and codes only: nothing that people wrote, and no names of files."""


class Tracer:
    """Traces nothing. All methods are safe to use from several threads."""

    def submitted(self, job_id: str, began: float, **facts: Attribute) -> None:
        """A job was made. `began`, here and below, is in seconds since the epoch."""

    def record(self, name: str, job_id: str, began: float, **facts: Attribute) -> None:
        """Something that has just ended was done for a job."""

    def took_up(self, chunk: Claimed) -> None:
        """A worker begins with an attempt."""

    def let_go(self, chunk: Claimed, how: str) -> None:
        """A worker has ended an attempt."""

    @contextlib.contextmanager
    def span(self, name: str, *chunks: Claimed, **facts: Attribute) -> Iterator[Span]:
        """Something that is done within an attempt, or in one go for several."""
        yield Span()


class _Recorded(Span):
    def __init__(self, spans: list[Any]) -> None:
        self._spans = spans

    def set(self, name: str, value: Attribute) -> None:
        for span in self._spans:
            span.set_attribute(f"voicesketch.{name}", value)


class OpenTelemetryTracer(Tracer):
    """Sends spans through OpenTelemetry.

    Args:
        part: dashboard, ticker or worker.
        endpoint: of a collector that takes OTLP over HTTP; `/v1/traces` is added.
        share: of all jobs; every process chooses the same ones.
        exporter: used at once for each span, in place of sending them.

    Raises:
        InvalidSettings: OpenTelemetry is not installed.
    """

    def __init__(
        self, part: str, endpoint: str, *, share: float = 1.0, exporter: SpanExporter | None = None
    ) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
            from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
            from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            raise InvalidSettings(
                "VOICESKETCH_TRACE_ENDPOINT is set, and OpenTelemetry is not here: pip install 'voicesketch[otel]'."
            ) from error

        wanted = self._wanted = ContextVar[tuple[int, int] | None]("wanted", default=None)
        random = RandomIdGenerator()

        class Ids(IdGenerator):
            """Those that were asked for, else random ones."""

            def generate_trace_id(self) -> int:
                asked = wanted.get()
                return asked[0] if asked is not None else random.generate_trace_id()

            def generate_span_id(self) -> int:
                asked = wanted.get()
                return asked[1] if asked is not None else random.generate_span_id()

        self._trace = trace
        facts = {"service.name": f"voicesketch-{part}", "service.version": code_name()}
        self._provider = TracerProvider(
            resource=Resource.create({**facts, "host.name": socket.gethostname()}),
            # By the id of the trace alone, so that no job is traced by half.
            sampler=TraceIdRatioBased(share),
            id_generator=Ids(),
        )
        if exporter is None:
            sender = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
            self._provider.add_span_processor(BatchSpanProcessor(sender))
        else:
            self._provider.add_span_processor(SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("voicesketch", code_name())
        self._lock = threading.Lock()
        self._taken_up: dict[str, int] = {}

    def submitted(self, job_id: str, began: float, **facts: Attribute) -> None:
        self._record("submit", job_id, int(began * _NANO), None, _span_id_of(job_id), **facts)

    def record(self, name: str, job_id: str, began: float, **facts: Attribute) -> None:
        self._record(name, job_id, int(began * _NANO), self._below(job_id, job_id), None, **facts)

    def took_up(self, chunk: Claimed) -> None:
        with self._lock:
            self._taken_up[chunk.attempt_id] = time.time_ns()

    def let_go(self, chunk: Claimed, how: str) -> None:
        with self._lock:
            began = self._taken_up.pop(chunk.attempt_id, None)
        if began is not None:
            parent = self._below(chunk.job_id, chunk.job_id)
            own = _span_id_of(chunk.attempt_id)
            self._record("attempt", chunk.job_id, began, parent, own, attempt=chunk.attempt_id, how=how)

    @contextlib.contextmanager
    def span(self, name: str, *chunks: Claimed, **facts: Attribute) -> Iterator[Span]:
        each = {chunk.attempt_id: chunk for chunk in chunks}.values()
        spans = [
            self._tracer.start_span(
                name,
                context=self._below(chunk.job_id, chunk.attempt_id),
                attributes=_named({"job": chunk.job_id, "attempt": chunk.attempt_id, **facts}),
            )
            for chunk in each
        ]
        try:
            yield _Recorded(spans)
        except BaseException as error:
            for span in spans:
                # Not what it says: that may name files.
                span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            for span in spans:
                span.end()

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()

    def _record(
        self,
        name: str,
        job_id: str,
        began: int,
        context: Context | None,
        span_id: int | None,
        /,
        **facts: Attribute,
    ) -> None:
        asked = None if span_id is None else (trace_id_of(job_id), span_id)
        token = self._wanted.set(asked)
        try:
            span = self._tracer.start_span(
                name,
                context=context if context is not None else self._nothing(),
                start_time=began,
                attributes=_named({"job": job_id, **facts}),
            )
        finally:
            self._wanted.reset(token)
        span.end()

    def _nothing(self) -> Context:
        """A context without a span, whatever this thread is at: the first span of a trace."""
        return self._trace.set_span_in_context(self._trace.INVALID_SPAN)

    def _below(self, job_id: str, what: str) -> Context:
        """The context of the span that a job or an attempt has, whoever sends that one."""
        parent = self._trace.SpanContext(
            trace_id_of(job_id),
            _span_id_of(what),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED),
        )
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(parent))


def _named(facts: dict[str, Attribute]) -> dict[str, Attribute]:
    return {f"voicesketch.{name}": value for name, value in facts.items()}


# One for the process, as logs are: what is told of beside the work is no argument of the work.
_tracer = Tracer()


def tracer() -> Tracer:
    """The tracer of this process."""
    return _tracer


def use_tracer(new: Tracer) -> Tracer:
    """Has the process traced by another; answers the one before."""
    global _tracer
    before, _tracer = _tracer, new
    return before
