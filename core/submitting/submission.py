"""From recordings on a disk to faces on a disk, through the service: submit, wait, download.

Each of the three can be called alone; together they are `voicesketch submit --out` and `make demo`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from core.client import Client
from core.client.refusals import told_beforehand
from core.client_views import ErrorCount, JobView
from core.errors import InvalidRequest, Retryable
from core.progress import Progress, Silent, make_progress, several
from core.states import ItemState, JobState
from core.submitting.batch import Batch, Count, Wanted, count_given, send_given, sort_given
from core.submitting.downloads import CONTACT_SHEET, RESULTS, Download, prepare_folder
from core.submitting.downloads import download as download_results

# A restart of everything takes seconds; a machine that boots, minutes.
PATIENCE_SECONDS = 300.0
LONGEST_NAME = 200  # of a job, as the service takes it
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
    webhook_secret: str | None = None  # told once, by the answer that made the job

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
            **({"webhook_secret": self.webhook_secret} if self.webhook_secret else {}),
        }


_COUNTS = ("total", "done", "cached", "failed", "cancelled", "skipped", "left_out")


class Order(TypedDict, total=False):
    """What is asked of a job besides its recordings."""

    model: str | None
    name: str | None
    priority: int
    seed: int
    labels: Mapping[str, str] | None
    webhook_url: str | None
    earlier: str | None  # take over the recordings of that job, instead of any that are given
    which: str  # of its recordings: all, failed or faces


def submit(
    client: Client,
    given: Sequence[str | Path],
    *,
    progress: Progress | None = None,
    **order: Unpack[Order],
) -> tuple[JobView, Batch]:
    """Sends the recordings, or the pictures for a model that draws from those, and makes the job.

    Args:
        given: folders, files, manifests, ZIP archives, and addresses such as `s3://bucket/folder`.

    Raises:
        InvalidRequest: there is nothing to submit, or it cannot be read; nothing was submitted.
        QuotaExceeded: it would go over a limit; told before anything is sent, as far as that is known by then.
        ServiceUnreachable: nothing was submitted.
    """
    progress = progress or Silent()
    _check_order(given, order)
    earlier, model = order.get("earlier"), order.get("model")
    batch = Batch()
    if not earlier:
        wanted = _wanted(client, model)
        try:
            batch = send_given(client, sort_given(given), wanted, progress, _room_for(client, order))
        except KeyboardInterrupt:
            progress.note("Stopped before the job was made: nothing was submitted.")
            raise
        if batch.left_out:
            what = "recording" if wanted == "voice" else "picture"
            left_out = several(
                batch.left_out, f"file that is no {what} was", f"files that are no {what}s were"
            )
            progress.note(f"{left_out} left out.")
    job = client.create_job(
        batch.items,
        idempotency_key=uuid.uuid4().hex,
        model=model,
        name=order.get("name") or (_name_for(given) if given else ""),
        priority=order.get("priority", 0),
        seed=order.get("seed", 0),
        labels=order.get("labels"),
        webhook_url=order.get("webhook_url"),
        source={"job": earlier, "which": order.get("which", "all")} if earlier else None,
    )
    return job, batch


def plan(client: Client, given: Sequence[str | Path], **order: Unpack[Order]) -> dict[str, Any]:
    """What `submit` would come to, with nothing sent. The form is a contract: see docs/command_line.md.

    Raises:
        InvalidRequest: as `submit`.
    """
    _check_order(given, order)
    earlier, model = order.get("earlier"), order.get("model")
    if earlier:
        counts = client.job(earlier).raw["request_counts"]
        faces = counts["done"] + counts["cached"]
        totals = {"all": counts["total"], "failed": counts["failed"], "faces": faces}
        counted = Count(recordings=totals[order.get("which", "all")])
    else:
        counted = count_given(client, sort_given(given), _wanted(client, model))
    if not counted.recordings:
        raise InvalidRequest("There is nothing to draw from.")
    # Not with their bytes: what was sent before takes no more room, and nobody knows yet which of them were.
    estimate = client.estimate(counted.recordings, model=model, priority=order.get("priority", 0))
    return {
        "recordings": counted.recordings,
        "more": counted.more,
        "bytes": None if earlier else counted.size_bytes,
        "left_out": counted.left_out,
        "model": estimate["model"],
        "seconds": estimate["seconds"],
        "estimate": estimate["sentence"],
        "cost": estimate.get("cost"),
        "refused": estimate.get("refused"),
    }


def secret_of(job: JobView) -> str | None:
    """What signs the note of a job's end; only the answer that made the job tells it."""
    secret = job.raw.get("webhook_secret")
    return str(secret) if secret else None


def _check_order(given: Sequence[str | Path], order: Order) -> None:
    if order.get("earlier") and given:
        raise InvalidRequest("Give either recordings or --job, and not both.")
    if not order.get("earlier") and not given:
        raise InvalidRequest("There is nothing to submit: name a folder, files, a manifest, a ZIP, or --job.")
    # The service would say so, too, but only after everything was sent.
    if len(order.get("name") or "") > LONGEST_NAME:
        raise InvalidRequest(f"The name of a job has at most {LONGEST_NAME} characters.")
    webhook_url = order.get("webhook_url")
    if webhook_url is not None and not webhook_url.lower().startswith(("http://", "https://")):
        raise InvalidRequest(
            f"{webhook_url[:200]!r} is no address of a web server: it begins with https:// or http://."
        )


def _room_for(client: Client, order: Order) -> Callable[[int], None]:
    """Refuses what the service would refuse in the end, so that nobody sends for an hour to hear it."""

    def check(recordings: int) -> None:
        if recordings:
            told = client.estimate(recordings, model=order.get("model"), priority=order.get("priority", 0))
            if told["refused"]:
                raise told_beforehand(told.get("refused_code"), told["refused"])

    return check


def _wanted(client: Client, model: str | None) -> Wanted:
    return "face" if model is not None and client.model(model).input == "face" else "voice"


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
    """Brings what a job has so far into a folder; see `core/submitting/downloads.py`."""
    progress = progress or Silent()
    return download_results(
        client, job_id, out, lambda done, total: progress.step("downloading", done, total)
    )


def submit_and_wait(
    client: Client,
    given: Sequence[str | Path],
    out: Path | None,
    *,
    progress: bool | Progress = True,
    **order: Unpack[Order],
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
        made, batch = submit(client, given, progress=shown, **order)
        try:
            job = wait(client, made.id, progress=shown)
            seconds = time.monotonic() - began
            if out is not None:
                download(client, job.id, out, progress=shown)
        except KeyboardInterrupt:
            shown.note(how_it_goes_on(made.id, out))
            raise
    result = result_of(job, left_out=batch.left_out, seconds=seconds, out=out)
    return replace(result, webhook_secret=secret_of(made))


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


def _name_for(given: Sequence[str | Path]) -> str:
    first = str(given[0])
    if first.startswith("s3://"):
        first = first.rstrip("/").rsplit("/", 1)[-1]
    else:
        first = Path(first).resolve().name.encode("utf-8", "replace").decode()
    more = f" and {len(given) - 1} more" if len(given) > 1 else ""
    return first[: LONGEST_NAME - len(more)] + more
