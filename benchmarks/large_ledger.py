"""A ledger as a busy place has it after a year: a million items in 500 jobs, faces, moves and attempts with them.

Rows are written as SQL, past the code that would make them one by one; what they say is what that code would have
said. Everything is a function of its number, so that two runs measure the same ledger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pysqlite3.dbapi2 as pysqlite3

from core.bootstrap import migrate
from core.specs import InferSpec

CHUNK = 32
_USERS = 20
# Jobs that are larger than most, and in states that pages have to show: items, state, and the share of failures.
_SPECIAL = (
    (100_000, "completed_with_errors", 0.04),
    (100_000, "completed_with_errors", 0.04),  # the same recordings with the second model
    (100_000, "running", 0.04),
    (50_000, "completed_with_errors", 0.9),
    (40_000, "cancelled", 0.01),
)
_CODES = (
    ("no_speech", "No speech was found in this recording."),
    ("too_short", "The recording is shorter than half a second."),
    ("corrupt_audio", "The recording is damaged."),
    ("empty_file", "The file is empty."),
    ("not_audio", "This file is no recording."),
    ("worker_lost", "Its worker died again and again."),
)
_FAILURE = "CAST({share} * 10000 AS INT) > abs(random_of(r.n, {seed})) % 10000"


@dataclass(frozen=True)
class Made:
    """What to ask for.

    Attributes:
        largest, again: jobs over the same 100,000 recordings with two versions of a model.
        running, failing, cancelled: what their names say.
        middle: a job of ordinary size.
    """

    items: int
    jobs: int
    largest: str
    again: str
    running: str
    failing: str
    cancelled: str
    middle: str


@dataclass(frozen=True)
class _Job:
    number: int
    id: str
    owner: str
    items: int
    state: str
    failures: float
    model: int
    first_recording: int
    created_at: datetime


def make_large_ledger(url: str, *, items: int = 1_000_000, jobs: int = 500) -> Made:
    """Fills a new SQLite ledger.

    Args:
        url: SQLAlchemy address of a file that is not there yet.
        items: in all jobs together, at least 400,000.
    """
    migrate(url)
    connection = pysqlite3.connect(url.removeprefix("sqlite+pysqlite:///"))
    connection.create_function("sha", 1, _sha, deterministic=True)
    connection.create_function("random_of", 2, _random, deterministic=True)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    planned = list(_plan(items, jobs))
    recordings = max(job.first_recording + job.items for job in planned)
    _people_and_models(connection)
    _recordings(connection, recordings)
    for job in planned:
        _job(connection, job)
    connection.execute(
        "INSERT INTO recording_owners (sha256, owner_id, created_at) SELECT DISTINCT i.recording_sha256, j.owner_id, "
        "j.created_at FROM items i JOIN jobs j ON j.id = i.job_id"
    )
    connection.execute(
        "INSERT INTO face_marks (item_id, job_id, favourite, note, by, at) SELECT id, job_id, id % 3 = 0, "
        "'A note on this one.', 'user_0', ? FROM items WHERE job_id = ? AND id % 20 = 0 AND state = 'done'",
        (_text(_START), planned[0].id),
    )
    connection.commit()
    connection.execute("PRAGMA optimize")  # as the service's own connections leave it
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return _made(items, jobs)


def known_ledger(url: str) -> Made:
    """A ledger that `make_large_ledger` made before."""
    connection = pysqlite3.connect(url.removeprefix("sqlite+pysqlite:///"))
    items, jobs = connection.execute("SELECT sum(total), count(*) FROM jobs").fetchone()
    connection.close()
    return _made(items, jobs)


def _made(items: int, jobs: int) -> Made:
    largest, again, running, failing, cancelled = (_job_id(number) for number in range(len(_SPECIAL)))
    return Made(items, jobs, largest, again, running, failing, cancelled, middle=_job_id(250))


def _job_id(number: int) -> str:
    return f"job_{number:026d}"


_START = datetime(2026, 1, 5, 8, tzinfo=UTC)


def _plan(items: int, jobs: int) -> Iterator[_Job]:
    left, others = items - sum(size for size, _, _ in _SPECIAL), jobs - len(_SPECIAL)
    recording = 0
    for number in range(jobs):
        if number < len(_SPECIAL):
            size, state, failures = _SPECIAL[number]
        else:
            other = number - len(_SPECIAL)
            size = left // others + (other < left % others)
            state, failures = ("completed_with_errors", 0.02) if other % 3 else ("completed", 0.0)
        is_again = number == 1 or (number > len(_SPECIAL) and number % 4 == 0)
        first = 0 if number == 1 else recording
        if is_again and number != 1:
            first = recording - size  # those of the job before, in the main
        else:
            recording = max(recording, first + size)
        yield _Job(
            number,
            _job_id(number),
            f"user_{number % 2 if number % 5 else number % _USERS}",
            size,
            state,
            failures,
            2 if is_again else 1,
            first,
            _START + timedelta(hours=16 * number),
        )


def _people_and_models(connection: Any) -> None:
    at = _text(_START)
    for number in range(_USERS):
        role = "admin" if number == 0 else "submitter"
        connection.execute(
            "INSERT INTO users (id, name, role, created_at) VALUES (?, ?, ?, ?)",
            (f"user_{number}", f"person {number}", role, at),
        )
    for version in (1, 2):
        connection.execute(
            "INSERT INTO model_versions (id, name, version, sha256, files, config, created_at) "
            "VALUES (?, 'default', ?, ?, '[]', '{}', ?)",
            (f"model_{version}", version, _sha(version), at),
        )
    connection.execute(
        "INSERT INTO aliases (name, model_version_id, moved_at) VALUES ('production', 'model_2', ?)", (at,)
    )
    connection.executemany(
        "INSERT INTO workers (id, host, pid, process_started, queue, device, doing, started_at, seen_at, ended_at) "
        "VALUES (?, ?, ?, 1.0, 'gpu', 'cuda:0', '', ?, ?, ?)",
        ((f"worker_{n}", f"node-{n}", 1000 + n, at, at, None if n > 35 else at) for n in range(40)),
    )
    connection.executemany(
        "INSERT INTO audit_entries (actor, action, subject, details, at) VALUES (?, 'job.priority', ?, '{}', ?)",
        ((f"user_{n % _USERS}", _job_id(n % 500), at) for n in range(20_000)),
    )
    connection.executemany(
        "INSERT INTO secrets (id, kind, hash, user_id, name, created_at) VALUES (?, 'token', ?, ?, 'script', ?)",
        ((f"secret_{n}", _sha(-n), f"user_{n % _USERS}", at) for n in range(200)),
    )


def _recordings(connection: Any, count: int) -> None:
    connection.execute("CREATE TEMP TABLE numbered (n INTEGER PRIMARY KEY, sha TEXT)")
    connection.execute(
        "INSERT INTO numbered WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n < ?) "
        "SELECT n, sha(n) FROM c",
        (count - 1,),
    )
    connection.execute(
        "INSERT INTO recordings (sha256, object_key, size_bytes, media_type, created_at, duration_seconds) "
        "SELECT sha, 'recordings/' || substr(sha, 1, 2) || '/' || sha, 60000 + n % 5000, 'audio/flac', ?, "
        "3.0 + n % 7 FROM numbered ORDER BY sha",
        (_text(_START),),
    )


def _job(connection: Any, job: _Job) -> None:
    waiting = 40_000 if job.state == "running" else 0
    ended = _text(job.created_at + timedelta(seconds=job.items / 40))
    spec = InferSpec(model=f"default@{job.model}")
    _attempts(connection, job)
    # A drawing for each recording that this job is the first to draw with its model.
    drawn = (
        f"FROM numbered r WHERE r.n >= {job.first_recording} AND r.n < {job.first_recording + job.items - waiting} "
        f"AND NOT ({_FAILURE.format(share=job.failures, seed=7)}) AND NOT EXISTS (SELECT 1 FROM drawings d WHERE "
        f"d.recording_sha256 = r.sha AND d.model_version_id = 'model_{job.model}')"
    )
    name = f"'d_{job.model}_' || r.n"
    for kind, ending, size in (
        ("face", "png", 52_000),
        ("spectrogram", "png", 9_000),
        ("thumbnail", "webp", 4_000),
    ):
        connection.execute(
            "INSERT INTO artifacts (id, kind, object_key, media_type, size_bytes, sha256, created_at) "
            f"SELECT '{kind[0]}_' || {name}, '{kind}', 'jobs/{job.id}/attempts/' || (r.n / {CHUNK}) || '/' || r.n || "
            f"'.{kind}.{ending}', 'image/{ending}', {size} + r.n % 3000, r.sha, '{ended}' {drawn}"
        )
    connection.execute(
        "INSERT INTO drawings (id, recording_sha256, model_version_id, parameters_sha256, face_id, spectrogram_id, "
        f"thumbnail_id, attempt_id, seconds, created_at) SELECT {name}, r.sha, 'model_{job.model}', "
        f"'{spec.parameters_sha256()}', 'f_' || {name}, 's_' || {name}, 't_' || {name}, "
        f"'attempt_{job.number}_' || ((r.n - {job.first_recording}) / {CHUNK}), 0.02, '{ended}' {drawn}"
    )
    _items(connection, job, waiting, ended)
    _moves(connection, job, ended)
    counts = dict(
        connection.execute(
            "SELECT state, count(*) FROM items WHERE job_id = ? GROUP BY state", (job.id,)
        ).fetchall()
    )
    is_over = job.state != "running"
    connection.execute(
        "INSERT INTO jobs (id, kind, owner_id, name, spec, queue, priority, model_version_id, labels, rerun_of, state, "
        "token, total, pending, leased, done, cached, failed, skipped, cancelled, rate_per_second, rated_at, "
        "created_at, queued_at, rung_at, started_at, finished_at) "
        "VALUES (?, 'infer', ?, ?, ?, 'gpu', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.id,
            job.owner,
            f"Interviews of week {job.number}",
            spec.model_dump_json(),
            job.number % 3 - 1,
            f"model_{job.model}",
            json.dumps({"team": ("radio", "phone", "press")[job.number % 3], "week": str(job.number)}),
            _job_id(0) if job.number == 1 else None,
            job.state,
            job.items // CHUNK,
            job.items,
            *(counts.get(name, 0) for name in ("pending", "leased", "done", "cached", "failed", "cancelled")),
            40.0,
            ended,
            _text(job.created_at),
            _text(job.created_at),
            _text(job.created_at),
            _text(job.created_at + timedelta(seconds=1)),
            ended if is_over else None,
        ),
    )


def _items(connection: Any, job: _Job, waiting: int, ended: str) -> None:
    begun, last = job.items - waiting, job.first_recording + job.items
    codes = " ".join(f"WHEN {number} THEN '{code}'" for number, (code, _) in enumerate(_CODES))
    words = " ".join(f"WHEN {number} THEN '{text}'" for number, (_, text) in enumerate(_CODES))
    state = (
        f"CASE WHEN place >= {begun + 64} THEN 'pending' WHEN place >= {begun} THEN 'leased' WHEN failed THEN 'failed' "
        f"WHEN '{job.state}' = 'cancelled' AND place > {job.items // 2} THEN 'cancelled' "
        f"WHEN d.attempt_id LIKE 'attempt\\_{job.number}\\_%' ESCAPE '\\' THEN 'done' ELSE 'cached' END"
    )
    connection.execute(
        "INSERT INTO items (job_id, position, key, name, recording_sha256, stage, state, attempts, lost, drawing_id, "
        f"error_code, error_message, seconds, finished_at) SELECT '{job.id}', place, 'line ' || place, "
        "'interviews/day ' || (place / 500) || '/voice ' || place || '.flac', sha, 0, state, state != 'pending', 0, "
        "CASE WHEN state IN ('done', 'cached') THEN drawing END, "
        f"CASE WHEN state = 'failed' THEN CASE why {codes} END END, "
        f"CASE WHEN state = 'failed' THEN CASE why {words} END END, CASE WHEN state = 'done' THEN 0.02 END, "
        f"CASE WHEN state NOT IN ('pending', 'leased') THEN '{ended}' END FROM "
        f"(SELECT place, sha, why, d.id AS drawing, {state} AS state FROM "
        f"(SELECT r.n - {job.first_recording} AS place, r.sha, abs(random_of(r.n, 3)) % {len(_CODES)} AS why, "
        f"{_FAILURE.format(share=job.failures, seed=7)} AS failed FROM numbered r "
        f"WHERE r.n >= {job.first_recording} AND r.n < {last}) "
        f"LEFT JOIN drawings d ON d.recording_sha256 = sha AND d.model_version_id = 'model_{job.model}') ORDER BY place"
    )


def _attempts(connection: Any, job: _Job) -> None:
    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(-(-job.items // CHUNK)):
            begun = job.created_at + timedelta(seconds=1 + number * CHUNK / 40)
            until = _text(begun + timedelta(seconds=3))
            yield (
                f"attempt_{job.number}_{number}",
                job.id,
                number + 1,
                f"worker_{number % 40}",
                CHUNK,
                CHUNK,
                until,
                until,
                until,
                _text(begun),
                until,
            )

    connection.executemany(
        "INSERT INTO attempts (id, job_id, token, worker_id, state, items, progress, progress_at, lease_until, "
        "heartbeat_at, started_at, ended_at) VALUES (?, ?, ?, ?, 'finished', ?, ?, ?, ?, ?, ?, ?)",
        rows(),
    )


def _moves(connection: Any, job: _Job, ended: str) -> None:
    at = _text(job.created_at)
    enter = "INSERT INTO transitions (job_id, item_id, old, new, actor, token, at) "
    own = [(None, "validating"), ("validating", "queued"), ("queued", "running")]
    connection.executemany(
        enter + "VALUES (?, NULL, ?, ?, ?, NULL, ?)",
        ((job.id, old, new, job.owner, at) for old, new in own),
    )
    connection.execute(
        enter + "SELECT job_id, id, 'pending', 'leased', 'worker_1', position / 32, ? FROM items "
        "WHERE job_id = ? AND state != 'pending'",
        (at, job.id),
    )
    connection.execute(
        enter + "SELECT job_id, id, 'leased', state, 'worker_1', position / 32, ? FROM items "
        "WHERE job_id = ? AND state NOT IN ('pending', 'leased')",
        (ended, job.id),
    )
    if job.state != "running":
        connection.execute(
            enter + "VALUES (?, NULL, 'running', ?, 'worker_1', NULL, ?)", (job.id, job.state, ended)
        )


def _sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _random(number: int, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{number} {seed}".encode(), digest_size=6).digest())


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")
