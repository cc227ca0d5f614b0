"""The memory of the dashboard while somebody downloads all faces of a large job as ZIP.

`python -m benchmarks download [--faces 100000]` serves a job by gunicorn as the stack does, with a real object store,
reads `faces.zip` to its end, and looks at the memory of the process that serves it all the while. The store holds 200
different faces that come again and again: what the process reads, packs and sends is the same as for as many different
ones. Exits with 1 where memory grows by more than `--most` MiB from a tenth of the way on, or an entry is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import requests
from pydantic import SecretStr
from sqlalchemy import insert

from benchmarks.bulk import CHECKOUT, MIB, print_table
from core.bootstrap import migrate
from core.config import Settings, to_environment
from core.ledger.database import Database, now
from core.ledger.tables import Artifact, Drawing, Item, Job, ModelVersion, Recording
from core.objects import face_key
from core.people.accounts import Role, create_user, issue_token
from core.specs import InferSpec
from core.stack import ports
from core.states import ItemState, JobState
from core.store import Store
from tests.servers import ACCESS_KEY, SECRET_KEY, start_seaweed

DIFFERENT = 200
JOB = "job_of_many_faces"
_END_OF_DIRECTORY = b"PK\x06\x06"  # of ZIP64: more than 65,535 entries need it
_READ_AT_ONCE = 256 * 1024
_ROWS_AT_ONCE = 5000


def make_job(settings: Settings, faces: int, size: int) -> str:
    """A finished job of so many faces of `size` bytes each; answers a token that may read it."""
    migrate(settings.database_url)
    database, store = Database(settings.database_url), Store(settings)
    store.ensure_bucket()
    spec = InferSpec(model="default@1")
    with database.write() as session:
        at = now(session)
        user = create_user(session, "ada", Role.SUBMITTER)
        session.add(
            ModelVersion(
                id="model_1", name="default", version=1, sha256="0" * 64, files=[], config={}, created_at=at
            )
        )
        session.flush()
        hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(DIFFERENT)]
        for number, sha256 in enumerate(hashes):
            stored = store.put(face_key(JOB, 1, number), os.urandom(size), "image/png", "face")
            session.add_all(
                (
                    Recording(
                        sha256=sha256, object_key=sha256, size_bytes=1, media_type="audio/flac", created_at=at
                    ),
                    Artifact(id=f"face_{number}", created_at=at, **vars(stored)),
                )
            )
            session.flush()
            session.add(
                Drawing(
                    id=f"drawing_{number}",
                    recording_sha256=sha256,
                    model_version_id="model_1",
                    parameters_sha256=spec.parameters_sha256(),
                    face_id=f"face_{number}",
                    attempt_id="attempt_1",
                    seconds=0.01,
                    created_at=at,
                )
            )
        session.add(
            Job(
                id=JOB,
                kind="infer",
                owner_id=user.id,
                name="Many faces",
                spec=spec.model_dump(mode="json"),
                queue="gpu",
                state=JobState.COMPLETED,
                model_version_id="model_1",
                total=faces,
                cached=faces,
                created_at=at,
                finished_at=at,
            )
        )
        session.flush()
        for first in range(0, faces, _ROWS_AT_ONCE):
            rows = [
                {
                    "job_id": JOB,
                    "position": number,
                    "key": f"line {number}",
                    "name": f"interviews/day {number // 500}/voice {number}.flac",
                    "recording_sha256": hashes[number % DIFFERENT],
                    "drawing_id": f"drawing_{number % DIFFERENT}",
                    "state": ItemState.CACHED,
                    "finished_at": at,
                }
                for number in range(first, min(first + _ROWS_AT_ONCE, faces))
            ]
            session.execute(insert(Item), rows)
        token = issue_token(session, user, "download")
    database.dispose()
    return token


def resident_mib(parent: int) -> float:
    """Memory of the processes that the server started, which do the serving."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    lines = [line for child in children for line in Path(f"/proc/{child}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def entries_of(tail: bytes) -> int:
    """The number of entries that the end of a ZIP64 archive tells of."""
    at = tail.rfind(_END_OF_DIRECTORY)
    return int(struct.unpack_from("<Q", tail, at + 32)[0]) if at >= 0 else 0


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--faces", type=int, default=100_000)
    arguments.add_argument("--bytes", type=int, default=20_000, help="of each face")
    arguments.add_argument("--most", type=float, default=64.0, help="growth that is allowed, MiB")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="voicesketch-download-") as folder:
        port = ports.choose(["dashboard"])["dashboard"]
        store = start_seaweed(Path(folder) / "seaweedfs")
        settings = Settings(
            database_url=f"sqlite+pysqlite:///{folder}/ledger.sqlite3",
            broker_url=SecretStr("redis://127.0.0.1:1"),
            public_url=f"http://127.0.0.1:{port}",
            s3_endpoint_url=store.endpoint_url,
            s3_bucket="download",
            s3_access_key=SecretStr(ACCESS_KEY),
            s3_secret_key=SecretStr(SECRET_KEY),
            secret_key=SecretStr("only-for-measuring-" * 3),
        )
        server = None
        try:
            token = make_job(settings, given.faces, given.bytes)
            server = serve(settings, Path(folder))
            rows, grown, entries = download(settings, server.pid, token, given.faces * given.bytes)
        finally:
            if server is not None:
                server.terminate()
                server.wait(20)
            store.child.kill()
    print_table([("read, MiB", "resident, MiB", "seconds"), *rows])
    print(f"\n{entries:,} entries; from a tenth of the way on, memory grew by {grown:.1f} MiB")
    if grown > given.most or entries != given.faces + 2:  # results.csv and manifest.json
        sys.exit(1)


def serve(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:dashboard.gunicorn_config", "dashboard.wsgi:app"],
        env={**os.environ, **to_environment(settings), "PYTHONPATH": str(CHECKOUT)},
        cwd=folder,
    )
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{settings.public_url}/healthz", timeout=5):
                return server
        except (URLError, ConnectionError, TimeoutError):
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                raise
            time.sleep(0.1)


def download(
    settings: Settings, server: int, token: str, size: int
) -> tuple[list[tuple[str, str, str]], float, int]:
    """Reads the archive; answers rows for a table, how memory grew, and the number of entries."""
    rows = [("0", f"{resident_mib(server):.1f}", "0")]
    begun, read, tail, told = time.monotonic(), 0, b"", 0
    base = highest = 0.0
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{settings.public_url}/api/v1/jobs/{JOB}/faces.zip"
    with requests.get(address, headers=headers, stream=True, timeout=300) as answer:
        answer.raise_for_status()
        for piece in answer.iter_content(_READ_AT_ONCE):
            read += len(piece)
            tail = (tail + piece)[-_READ_AT_ONCE:]
            tenth = 10 * read // size
            if tenth > told:
                told, here = tenth, resident_mib(server)
                base = base or here
                highest = max(highest, here)
                rows.append((f"{read / MIB:.0f}", f"{here:.1f}", f"{time.monotonic() - begun:.0f}"))
    here = resident_mib(server)
    rows.append((f"{read / MIB:.0f}", f"{here:.1f}", f"{time.monotonic() - begun:.0f}"))
    return rows, max(highest, here) - base, entries_of(tail)


if __name__ == "__main__":
    main()
