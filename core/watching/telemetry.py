"""What a process tells of itself beside its work, set up in one place: logs, errors, traces."""

from __future__ import annotations

from typing import Literal

from core.config import Settings
from core.watching.error_hook import make_hook
from core.watching.logs import set_up_logs
from core.watching.tracing import OpenTelemetryTracer, use_tracer


def set_up_telemetry(settings: Settings, part: Literal["dashboard", "ticker", "worker"]) -> None:
    """Call it once in each process, before its work begins.

    Raises:
        InvalidSettings: an option is asked for that is not installed, or its address is none.
    """
    dsn = settings.sentry_dsn.get_secret_value() if settings.sentry_dsn is not None else ""
    tell = make_hook(dsn, part).tell if dsn else None
    set_up_logs(form=settings.log_format, part=part, tell=tell)
    if settings.trace_endpoint:
        use_tracer(OpenTelemetryTracer(part, settings.trace_endpoint, share=settings.trace_share))
