"""One place of many hosts for all scenarios: they take it as they find it, one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.client_views import JobView
from core.submitting.submission import submit, wait
from tests.faults.place import SAMPLES
from tests.faults.rounds import write_recordings
from tests.hosts.network import why_not
from tests.hosts.place import PATIENCE_SECONDS, Place, open_place
from tests.hosts.timeline import Timeline
from tests.hosts.work import drawn_so_far

RECORDINGS = 200


@pytest.fixture(scope="session")
def timeline() -> Iterator[Timeline]:
    timeline = Timeline()
    yield timeline
    if kept := os.environ.get("VOICESKETCH_TIMELINE"):
        timeline.write(Path(kept))


@pytest.fixture(scope="session")
def place(timeline: Timeline) -> Iterator[Place]:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    # Not below pytest's own folder, which is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="voicesketch-hosts-"))
    try:
        with (
            open_place(folder, timeline) as place,
            place.ledger() as database,
            timeline.watching(lambda: drawn_so_far(database)),
        ):
            yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sent(place: Place) -> JobView:
    """A job that brought all recordings; others draw them again, each by a seed of its own."""
    write_recordings(place.folder / "recordings", RECORDINGS, SAMPLES)
    client = place.client()
    with place.timeline.span("a bulk job", "desk"):
        job, _ = submit(client, [place.folder / "recordings"], name="all recordings")
        return wait(client, job.id, patience_seconds=PATIENCE_SECONDS)
