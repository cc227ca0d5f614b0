"""What `/metrics` tells a monitoring system: names, kinds, labels and meanings, as an empty service tells them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from core.ledger.table_base import Base
from core.watching.readiness import Readiness
from dashboard import metrics
from dashboard.app import create_app
from dashboard.services import services
from docs.site.reference.places import empty_settings
from docs.site.reference.tables import code, plain, table


def page() -> str:
    """The page in Markdown."""
    rows = [
        [
            code(one.name + ("_total" if one.type == "counter" else "")),
            one.type,
            _labels(one),
            plain(one.documentation),
        ]
        for one in families()
    ]
    return "\n".join(
        [
            "# Measurements for Prometheus",
            "",
            "What `/metrics` of a dashboard tells, written from the code. Who may ask, and what to make",
            "of it, is told in [operating](../operating.md#watching-it-from-outside).",
            "",
            table(("name", "kind", "labels", "what it is"), rows),
        ]
    )


def families() -> list[Metric]:
    """Every family of the page, of a place in which nothing has happened."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(empty_settings(Path(folder)))
        with app.app_context():
            database = services().database
        Base.metadata.create_all(database.engine)
        own: CollectorRegistry = app.extensions["metrics"]
        return list(metrics._Everything(database, Readiness({}), own).collect())


def _labels(family: Metric) -> str:
    return ", ".join(code(name) for name in getattr(family, "_labelnames", ()))
