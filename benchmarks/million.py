"""How long every page and list takes over a ledger of a million items in 500 jobs.

`python -m benchmarks million` makes the ledger (two minutes, 2.4 GB in a temporary folder, or `--ledger FILE` to
keep it and use it again), asks every page and list that the service has, each `--times` times, and prints the 95th
percentile of the time a server spends on it, with the processor time of that request. It exits with 1 where one
takes longer than 200 ms. What streams whole files or events is no page: `benchmarks.download` measures that.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from pydantic import SecretStr

from benchmarks.bulk import print_table
from benchmarks.large_ledger import Made, known_ledger, make_large_ledger
from core.config import Settings
from core.ledger.database import Database
from core.ledger.tables import User
from core.people.accounts import create_sign_in_link
from core.store import Store
from dashboard.app import create_app
from tests.servers import ACCESS_KEY, SECRET_KEY, start_seaweed, start_valkey

LIMIT_SECONDS = 0.2

# Neither pages nor lists: bytes of one object, whole results, streams, and what needs no sign-in.
_FILES = (".zip", ".csv", ".jsonl", ".parquet", ".png", ".pdf", ".webp", "/export", "/recording", "/events")
_OTHERS = (
    "/static/",
    "/sign-in",
    "/healthz",
    "/api/v1/recordings/",
    "/api/v1/uploads/",
    "/files/",
    "/oidc",
    "/setup",
)
# Things of which the ledger has none: programs, datasets and schedules are few in any place.
_NONE_HERE = ("<name>", "<evaluation_id>", "<run_id>", "/curves", "/training", "/datasets/<label>")


@dataclass(frozen=True)
class Timing:
    address: str
    who: str
    p95: float
    median: float
    processor: float  # seconds of the p95 request's kind, for machines that others load
    size: int

    def row(self) -> tuple[str, ...]:
        mark = "" if self.p95 <= LIMIT_SECONDS else "  SLOW"
        milliseconds = (f"{1000 * value:.1f}" for value in (self.p95, self.median, self.processor))
        return (f"{self.who:6} {self.address}{mark}", *milliseconds, f"{self.size / 1000:.0f}")


COLUMNS = ("address", "p95 ms", "median ms", "processor ms", "kB")


def addresses(app: OpenAPI, made: Made) -> Iterator[str]:
    """Every page and list of the app, for jobs of all sizes, and the ways to narrow, sort and walk through them."""
    several = {
        "<job_id>": (made.largest, made.running, made.failing, made.cancelled, made.middle),
        "<int:item_id>": ("1", "98000"),  # the first and one near the end of the largest job
        "<label>": ("default@2",),
        "<other>": ("default@1",),
        "<user_id>": ("user_1",),
        "<alias>": ("production",),
        "<other_id>": (made.again,),
    }
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        path = rule.rule
        if "GET" not in (rule.methods or ()) or path.endswith(_FILES) or path.startswith(_OTHERS):
            continue
        if any(part in path for part in (*_OTHERS, *_NONE_HERE)) or path == "/":
            continue
        if "<int:item_id>" in path:
            path = path.replace("<job_id>", made.largest)
        yield from _filled(path, several)
    for job in (made.largest, made.failing, made.running):
        items = f"/api/v1/jobs/{job}/items"
        for query in (
            "limit=1000&face_names=false",
            "after=49000&limit=100&face_names=false",
            "after=20000&limit=100",
            "after=98000&limit=100",
            "state=failed&limit=200",
            "state=failed&after=45000&limit=200",
            "state=done,cached&after=98000",
            "error_code=too_short&limit=200",
            "favourites=true",
        ):
            yield f"{items}?{query}"
        for query in ("every=100", "state=failed", "error_code=no_speech", "favourites=true"):
            yield f"{items}/anchors?{query}"
        for query in (
            "show=failed",
            "show=waiting",
            "show=faces",
            "show=cancelled",
            "after=49000",
            "show=failed&after=49000",
        ):
            yield f"/jobs/{job}?{query}"
            yield f"/jobs/{job}/tiles?{query}"
    for base in ("/jobs", "/jobs/rows", "/api/v1/jobs"):
        for query in (
            "sort=oldest",
            "sort=name",
            "sort=largest",
            "sort=priority",
            "q=week",
            "q=nothing+like+that",
            "label=team%3Dradio",
            "label=team%3Dnobody",
            "state=failed,cancelled",
            "state=running",
            "kind=train",
            "owner=person+7",
            "model=default%401",
            "since=2026-06-01",
        ):
            yield f"{base}?{query}"
        yield f"{base}?before={quote(made.middle)}"
    yield "/api/v1/jobs?limit=200"
    yield "/jobs?size=100"
    yield f"/models/compare?a={quote('default@1')}&b={quote('default@2')}"


def _filled(path: str, several: dict[str, tuple[str, ...]]) -> Iterator[str]:
    name = next((name for name in several if name in path), None)
    if name is None:
        yield path
        return
    for value in several[name]:
        yield from _filled(path.replace(name, quote(value)), several)


def measure(client: FlaskClient, who: str, address: str, times: int) -> Timing | str:
    """How long an address takes; what is wrong with it where it does not answer as it should."""
    walls, processors, size = [], [], 0
    for _ in range(times):
        begun, worked = time.perf_counter(), time.thread_time()
        answer = client.get(address, buffered=True)
        walls.append(time.perf_counter() - begun)
        processors.append(time.thread_time() - worked)
        if answer.status_code != 200:
            return f"{answer.status_code} from {address} as {who}: {answer.text[:200]}"
        size = len(answer.data)
        answer.close()
    return Timing(
        address, who, _quantile(walls, 0.95), _quantile(walls, 0.5), _quantile(processors, 0.95), size
    )


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def sign_in(app: OpenAPI, database: Database, user_id: str) -> FlaskClient:
    with database.write() as session:
        user = session.get(User, user_id)
        assert user is not None
        link = create_sign_in_link(session, user, "")
    client = app.test_client()
    page = client.get(link).text
    token = page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
    assert client.post(link, data={"csrf_token": token}).status_code == 303
    return client


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--ledger", type=Path, help="where to make it, or where it was made before")
    arguments.add_argument("--items", type=int, default=1_000_000)
    arguments.add_argument("--times", type=int, default=20, help="how often each address is asked")
    arguments.add_argument("--only", default="", help="only addresses with this in them")
    arguments.add_argument(
        "--all", action="store_true", help="print every address, not only the slowest twenty"
    )
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="voicesketch-million-") as folder:
        file = given.ledger or Path(folder) / "ledger.sqlite3"
        url = f"sqlite+pysqlite:///{file.resolve()}"
        made = known_ledger(url) if file.exists() else make_large_ledger(url, items=given.items)
        print(f"{made.items:,} items in {made.jobs} jobs, {file.stat().st_size / 1e9:.1f} GB\n", flush=True)
        broker, store = start_valkey(Path(folder) / "valkey"), start_seaweed(Path(folder) / "seaweedfs")
        try:
            settings = Settings(
                database_url=url,
                broker_url=SecretStr(broker.url),
                s3_endpoint_url=store.endpoint_url,
                s3_bucket="million",
                s3_access_key=SecretStr(ACCESS_KEY),
                s3_secret_key=SecretStr(SECRET_KEY),
                secret_key=SecretStr("only-for-measuring-" * 3),
            )
            Store(settings).ensure_bucket()
            timings, wrong = run(settings, made, given.times, given.only)
        finally:
            broker.child.stop(5)
            store.child.kill()
    timings.sort(key=lambda timing: -timing.p95)
    print_table([COLUMNS, *(timing.row() for timing in (timings if given.all else timings[:20]))])
    slow = [timing for timing in timings if timing.p95 > LIMIT_SECONDS]
    print(
        f"\n{len(timings)} addresses, {given.times} times each; {len(slow)} over {1000 * LIMIT_SECONDS:.0f} ms"
    )
    for line in wrong:
        print(line)
    if slow or wrong:
        sys.exit(1)


def run(settings: Settings, made: Made, times: int, only: str) -> tuple[list[Timing], list[str]]:
    app = create_app(settings)
    database = Database(settings.database_url)
    timings, wrong = [], []
    for who, user in (("admin", "user_0"), ("owner", "user_1")):
        client = sign_in(app, database, user)
        for address in addresses(app, made):
            if only not in address or (
                who == "owner" and not address.startswith(("/jobs?", "/jobs/rows", "/api/v1/jobs?"))
            ):
                continue
            found = measure(client, who, address, times)
            if isinstance(found, Timing):
                timings.append(found)
            else:
                wrong.append(found)
    database.dispose()
    return timings, wrong


if __name__ == "__main__":
    main()
