"""From recordings on a disk to faces on a disk, through the service: submit, wait, download.

Each of the three can be called alone; together they are `voicesketch submit --out` and `make demo`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from core.client import Client
from core.client_views import ErrorCount, JobView
from core.downloads import CONTACT_SHEET, RESULTS, Download, prepare_folder
from core.downloads import download as download_results
from core.errors import Retryable
from core.intake import Intake, take_in_paths
from core.progress import Progress, Silent, make_progress
from core.sending import send_all
from core.states import ItemState, JobState

# A restart of everything takes seconds; a machine that boots, minutes.
PATIENCE_SECONDS = 300.0
_POLL_SECONDS = (0.2, 1.0)  # first, and at most


@dataclass(frozen=True)
class SubmitResult:
    """How a job went. `as_json` is a contract: see docs/command_line.md."""

    job_id: str
    state: JobState
    total: int
    done: int  # with a face, cached ones included
    cached: int
    failed: int
    cancelled: int
    skipped: int
    left_out: int
    seconds: float | None  # from the first byte sent to the last item; None where nobody waited
    per_second: float | None
    errors: tuple[ErrorCount, ...]
    out: Path | None = None

    @property
    def all_done(self) -> bool:
        return self.done == self.total

    def as_json(self) -> dict[str, Any]:
        out = self.out
        return {
            "job": self.job_id,
            "state": self.state.value,
            **{name: getattr(self, name) for name in _COUNTS},
            "seconds": self.seconds,
            "per_second": self.per_second,
            "errors": [asdict(error) for error in self.errors],
            "out": str(out) if out else None,
            "results": str(out / RESULTS) if out else None,
            "contact_sheet": str(out / CONTACT_SHEET) if out and (out / CONTACT_SHEET).exists() else None,
        }


_COUNTS = ("total", "done", "cached", "failed", "cancelled", "skipped", "left_out")


def submit(
    client: Client,
    paths: Sequence[Path],
    *,
    model: str | None = None,
    name: str | None = None,
    priority: int = 0,
    seed: int = 0,
    labels: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> tuple[JobView, Intake]:
    """Sends the recordings, or the pictures for a model that draws from those, and makes the job.

    Raises:
        InvalidRequest: there is nothing to submit, or it cannot be read; nothing was submitted.
        ServiceUnreachable: nothing was submitted.
    """
    progress = progress or Silent()
    wanted: Literal["voice", "face"] = "voice"
    if model is not None and client.model(model).input == "face":
        wanted = "face"
    intake = take_in_paths(paths, wanted)
    if intake.left_out:
        what = "recordings" if wanted == "voice" else "pictures"
        progress.note(f"{intake.left_out} files that are no {what} were left out.")
    total = len(intake.lines)
    try:
        items = send_all(client, intake.lines, lambda done: progress.step("sending", done, total))
    except KeyboardInterrupt:
        progress.note("Stopped before the job was made: nothing was submitted.")
        raise
    job = client.create_job(
        items,
        idempotency_key=uuid.uuid4().hex,
        model=model,
        name=name or _name_for(paths),
        priority=priority,
        seed=seed,
        labels=labels,
    )
    return job, intake


def wait(
    client: Client,
    job_id: str,
    *,
    progress: Progress | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> JobView:
    """Waits until a job has ended, also across restarts of the service.

    Raises:
        ServiceUnreachable: nothing answered for `patience_seconds`; the job itself is not harmed by that.
    """
    progress = progress or Silent()
    pause, longest = _POLL_SECONDS
    gone_since: float | None = None
    while True:
        try:
            job = client.job(job_id)
        except Retryable:
            at = time.monotonic()
            if gone_since is None:
                gone_since = at
                progress.note("The service does not answer for the moment; still waiting.")
            elif at - gone_since > patience_seconds:
                raise
        else:
            gone_since = None
            progress.job(job)
            if job.is_final:
                return job
        time.sleep(pause)
        pause = min(longest, pause * 1.3)


def download(client: Client, job_id: str, out: Path, *, progress: Progress | None = None) -> Download:
    """Brings what a job has so far into a folder; see `core/downloads.py`."""
    progress = progress or Silent()
    return download_results(
        client, job_id, out, lambda done, total: progress.step("downloading", done, total)
    )


def submit_and_wait(
    client: Client,
    paths: Sequence[Path],
    out: Path | None,
    *,
    model: str | None = None,
    name: str | None = None,
    priority: int = 0,
    seed: int = 0,
    labels: Mapping[str, str] | None = None,
    progress: bool | Progress = True,
) -> SubmitResult:
    """All three in a row; with no `out`, nothing is downloaded.

    Raises:
        InvalidRequest: as `submit`, and when `out` cannot be written to (told before anything is sent).
        ServiceUnreachable: see `submit` and `wait`.
    """
    if out is not None:
        prepare_folder(out)
    shown = make_progress() if progress is True else progress or Silent()
    with shown:
        began = time.monotonic()
        job, intake = submit(
            client, paths, model=model, name=name, priority=priority, seed=seed, labels=labels, progress=shown
        )
        try:
            job = wait(client, job.id, progress=shown)
            seconds = time.monotonic() - began
            if out is not None:
                download(client, job.id, out, progress=shown)
        except KeyboardInterrupt:
            shown.note(how_it_goes_on(job.id, out))
            raise
    return result_of(job, left_out=intake.left_out, seconds=seconds, out=out)


def result_of(
    job: JobView, *, left_out: int = 0, seconds: float | None = None, out: Path | None = None
) -> SubmitResult:
    return SubmitResult(
        job_id=job.id,
        state=job.state,
        total=job.total,
        done=job.with_face,
        cached=job.counts[ItemState.CACHED],
        failed=job.counts[ItemState.FAILED],
        cancelled=job.counts[ItemState.CANCELLED],
        skipped=job.counts[ItemState.SKIPPED],
        left_out=left_out,
        seconds=round(seconds, 3) if seconds is not None else None,
        per_second=round(job.finished / seconds, 3) if seconds else None,
        errors=job.errors,
        out=out,
    )


def how_it_goes_on(job_id: str, out: Path | None = None) -> str:
    """What somebody who stops waiting should know."""
    target = f" --out {out}" if out else " --out DIR"
    return (
        f"The job goes on without you. Watch it: voicesketch jobs watch {job_id}\n"
        f"Fetch what it has: voicesketch jobs download {job_id}{target}\n"
        f"Stop it: voicesketch jobs cancel {job_id}"
    )


def _name_for(paths: Sequence[Path]) -> str:
    first = paths[0].resolve().name.encode("utf-8", "replace").decode()
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"
