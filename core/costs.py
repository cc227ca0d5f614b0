"""What jobs cost: the time of workers that went into them, and what they keep stored, at prices from the settings.

Time is what a worker spent on a job, at the price of the device that it draws on; nobody's bill is read. Without a
price nothing is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.config import Settings
from core.ledger.tables import Artifact, Attempt, DatasetShard, Drawing, Item, Job, Recording, Worker
from core.ledger.training_tables import JobFile
from core.states import ITEM_WITH_FACE

GB = 10**9
# Of a large job, so many items say what the others take of the store.
_ITEMS_WEIGHED = 200
_MOST_ATTEMPTS = 20_000


@dataclass(frozen=True)
class Prices:
    """What is paid; None for what is not told.

    Attributes:
        gpu_hour: an hour of a worker that draws on a GPU, with the machine around it.
        cpu_hour: an hour of a worker that draws on processors.
        gb_month: 10⁹ bytes, stored for a month.
    """

    gpu_hour: float | None
    cpu_hour: float | None
    gb_month: float | None
    currency: str

    def of_device(self, device: str) -> float | None:
        """The price of an hour of a worker with this device."""
        return self.cpu_hour if device == "cpu" else self.gpu_hour


@dataclass(frozen=True)
class Cost:
    """What a job has cost so far, or would.

    Attributes:
        work: of the time of workers; None where it was not measured, or has no price.
        per_thousand: the same for 1,000 faces.
        storage_a_month: of what it keeps stored; None where that has no price.
    """

    work: float | None
    per_thousand: float | None
    storage_a_month: float | None
    currency: str

    @property
    def sentence(self) -> str:
        """The same for people."""
        if self.work is None and self.storage_a_month is not None:
            return f"Storing it costs about {money(self.storage_a_month, self.currency)} a month."
        work = money(self.work or 0.0, self.currency)
        if self.per_thousand is None and self.storage_a_month is None:
            return f"About {work}."
        if self.per_thousand is None:
            return (
                f"About {work}, and {money(self.storage_a_month or 0.0, self.currency)} a month to store it."
            )
        each = money(self.per_thousand, self.currency)
        if self.storage_a_month is None:
            return f"About {work}, which is {each} for 1,000 faces."
        return (
            f"About {work}, which is {each} for 1,000 faces, and "
            f"{money(self.storage_a_month, self.currency)} a month to store it."
        )


def prices_of(settings: Settings) -> Prices | None:
    """What the settings say; None where they name no price at all."""
    found = Prices(
        settings.price_per_gpu_hour,
        settings.price_per_cpu_hour,
        settings.price_per_gb_month,
        settings.price_currency.strip(),
    )
    return None if found.gpu_hour is found.cpu_hour is found.gb_month is None else found


def money(amount: float, currency: str) -> str:
    """An amount with as many digits as say something."""
    if amount >= 0.1 or not amount:
        return f"{amount:,.2f} {currency}".rstrip()
    return f"{amount:.2g} {currency}".rstrip() if amount >= 1e-4 else f"<0.0001 {currency}".rstrip()


def charge(session: Session, job_id: str, device: str, seconds: float) -> None:
    """Adds time of a worker to a job that the transaction holds, in the UPDATE that writes its counters anyway."""
    job = session.get(Job, job_id)
    if job is None or seconds <= 0:
        return
    if device == "cpu":
        job.cpu_seconds = (job.cpu_seconds or 0.0) + seconds
    else:
        job.gpu_seconds = (job.gpu_seconds or 0.0) + seconds


def cost_of(session: Session, job: Job, prices: Prices | None) -> Cost | None:
    """What a job has cost so far; None where nothing of it is known or has a price."""
    if prices is None:
        return None
    work = _work(session, job, prices)
    faces = job.done + job.cached if job.kind == "infer" else 0
    storage = None
    if prices.gb_month is not None and job.purged_at is None:
        stored = bytes_stored(session, job)
        storage = prices.gb_month * stored / GB if stored else None
    if work is None and storage is None:
        return None
    each = None if work is None or not faces else 1000 * work / faces
    return Cost(work, each, storage, prices.currency)


def bytes_stored(session: Session, job: Job) -> int:
    """What a job keeps in the store: recordings and pictures, shards, or files. An estimate for large jobs."""
    if job.kind == "infer":
        return round(bytes_of_a_face(session, job.id) * (job.done + job.cached))
    if job.kind == "prepare":
        of_job, size = DatasetShard.job_id == job.id, DatasetShard.size_bytes
    else:
        of_job, size = JobFile.job_id == job.id, JobFile.size_bytes
    return int(session.scalar(select(func.sum(size)).where(of_job)) or 0)


def bytes_of_a_face(session: Session, job_id: str) -> float:
    """A recording with its face, spectrogram and thumbnail, on the average of some of a job's."""
    some = (
        select(Item.recording_sha256, Item.drawing_id)
        .where(Item.job_id == job_id, Item.state.in_(ITEM_WITH_FACE), Item.drawing_id.is_not(None))
        .limit(_ITEMS_WEIGHED)
        .subquery()
    )
    recordings = session.execute(
        select(func.count(), func.sum(Recording.size_bytes)).join(
            some, some.c.recording_sha256 == Recording.sha256
        )
    ).one()
    if not recordings[0]:
        return 0.0
    pictures = sum(
        int(
            session.scalar(
                select(func.sum(Artifact.size_bytes))
                .join(Drawing, column == Artifact.id)
                .join(some, some.c.drawing_id == Drawing.id)
            )
            or 0
        )
        for column in (Drawing.face_id, Drawing.spectrogram_id, Drawing.thumbnail_id)
    )
    return (int(recordings[1] or 0) + pictures) / int(recordings[0])


def _work(session: Session, job: Job, prices: Prices) -> float | None:
    """The price of the time of workers."""
    if job.kind == "infer":
        times = {"gpu": job.gpu_seconds, "cpu": job.cpu_seconds}
    else:
        times = dict(_times_of_attempts(session, job.id))
    total, known = 0.0, False
    for device, seconds in times.items():
        if seconds:
            hour = prices.of_device(device)
            if hour is None:
                return None  # a part of it would look like all of it
            total, known = total + hour * seconds / 3600, True
    return total if known else None


def _times_of_attempts(session: Session, job_id: str) -> Iterable[tuple[str, float]]:
    """Seconds by kind of device of a job whose claims last long, and are few."""
    rows = session.execute(
        select(
            Worker.id,
            Worker.device,
            Attempt.started_at,
            func.coalesce(Attempt.ended_at, Attempt.heartbeat_at),
        )
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.job_id == job_id)
        .limit(_MOST_ATTEMPTS)
    )
    spans: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for worker_id, device, begun, ended in rows:
        spans[worker_id, "cpu" if device == "cpu" else "gpu"].append((begun, ended))
    by_device: dict[str, float] = defaultdict(float)
    for (_, device), of_worker in spans.items():
        by_device[device] += seconds_covered(of_worker)
    return by_device.items()


def seconds_covered(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that spans cover together: a worker may hold two claims at once."""
    total = 0.0
    until: datetime | None = None
    for begun, last in sorted(spans):
        start = begun if until is None else max(begun, until)
        if last > start:
            total += (last - start).total_seconds()
            until = last
    return total
