"""What a monitoring system fetches: right numbers, for those who may see them, and rules that ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from core.claims.leases import claim_chunk
from core.claims.workers import register_worker, tell_utilisation
from core.ledger.tables import Worker
from core.people.accounts import Role
from core.watching.tallies import Tally
from tests.dashboard.conftest import Place

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fetched(place: Place) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = place.script("vera", Role.VIEWER).get("/metrics")
    assert answer.status_code == 200
    return samples(answer.text)


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    """The only sample of that name that has at least these labels."""
    (one,) = [
        number
        for (metric, given), number in found.items()
        if metric == name and given >= frozenset(labels.items())
    ]
    return one


def at_work(place: Place) -> str:
    """A worker with a GPU that has claimed two of three items, ended seven before, and told of it."""
    place.script("ada").job(3)
    tally = Tally()
    tally.claimed()
    tally.ended([("done", 0.2)] * 6 + [("failed", 3.0)])
    tally.lost()
    with place.database.write() as session:
        worker = register_worker(session, queue="gpu", device="cuda")
        claim_chunk(session, worker, "gpu", size=2, lease_seconds=60)
        measured = {
            "cpu_percent": 150.0,
            "memory_bytes": 2**30,
            "gpu_percent": 40.0,
            "gpu_memory_bytes": 3 * 2**30,
            "gpu_memory_total_bytes": 2**33,
            "gpu_celsius": 61.0,
            "tally": tally.told(),
        }
        tell_utilisation(session, worker, measured)
    return worker


def test_jobs_queues_and_workers_are_counted(place: Place) -> None:
    worker = at_work(place)
    found = fetched(place)
    assert value(found, "voicesketch_jobs", kind="infer", state="running") == 1
    assert value(found, "voicesketch_items", state="pending") == 1
    assert value(found, "voicesketch_queue_items", queue="gpu", state="waiting") == 1
    assert value(found, "voicesketch_queue_items", queue="gpu", state="leased") == 2
    assert 0 <= value(found, "voicesketch_queue_oldest_wait_seconds", queue="gpu") < 60
    assert value(found, "voicesketch_queue_workers", queue="gpu") == 1
    assert value(found, "voicesketch_workers", queue="gpu", state="working") == 1
    assert value(found, "voicesketch_claims", state="active") == 1
    assert value(found, "voicesketch_worker_cpu_cores", worker=worker) == 1.5
    assert value(found, "voicesketch_worker_device_utilisation_ratio", worker=worker) == 0.4
    assert value(found, "voicesketch_worker_device_temperature_celsius", worker=worker) == 61
    assert value(found, "voicesketch_doorbell_oldest_wait_seconds") >= 0


def test_each_part_is_told_as_readyz_tells_it(sqlite_place: Place) -> None:
    # Neither a broker nor a ticker runs here.
    found = fetched(sqlite_place)
    told = {
        part: value(found, "voicesketch_part_ready", part=part)
        for part in ("ledger", "migrations", "store", "broker", "ticker")
    }
    assert told == {"ledger": 1, "migrations": 1, "store": 1, "broker": 0, "ticker": 0}


def test_what_a_worker_counted_comes_as_counters_and_a_histogram(sqlite_place: Place) -> None:
    worker = at_work(sqlite_place)
    found = fetched(sqlite_place)
    assert value(found, "voicesketch_worker_items_total", worker=worker, state="done") == 6
    assert value(found, "voicesketch_worker_items_total", worker=worker, state="failed") == 1
    assert value(found, "voicesketch_worker_claims_total", worker=worker) == 1
    assert value(found, "voicesketch_worker_leases_lost_total", worker=worker) == 1
    assert value(found, "voicesketch_worker_item_seconds_bucket", worker=worker, le="0.1") == 0
    assert value(found, "voicesketch_worker_item_seconds_bucket", worker=worker, le="0.25") == 6
    assert value(found, "voicesketch_worker_item_seconds_bucket", worker=worker, le="+Inf") == 7
    assert value(found, "voicesketch_worker_item_seconds_sum", worker=worker) == pytest.approx(4.2)


def test_a_worker_that_is_gone_uses_nothing_and_keeps_its_counts(sqlite_place: Place) -> None:
    worker = at_work(sqlite_place)
    with sqlite_place.database.write() as session:
        row = session.get_one(Worker, worker)
        row.ended_at = row.seen_at
    found = fetched(sqlite_place)
    assert value(found, "voicesketch_worker_items_total", worker=worker, state="done") == 6
    assert not [name for name, labels in found if ("worker", worker) in labels and "memory" in name]


def test_requests_are_timed_by_what_was_asked_for_and_not_by_address(sqlite_place: Place) -> None:
    ada = sqlite_place.script("ada")
    for job in (ada.job(1), "job_that_there_is_not"):
        ada.get(f"/api/v1/jobs/{job}")
    found = fetched(sqlite_place)
    kind = {"method": "GET", "endpoint": "jobs.show"}
    assert value(found, "voicesketch_http_request_seconds_count", **kind, status="2xx") == 1
    assert value(found, "voicesketch_http_request_seconds_count", **kind, status="4xx") == 1
    assert not [labels for _, labels in found if any("job_" in text for _, text in labels)]


def test_methods_that_strangers_make_up_are_one_series_and_not_one_each(sqlite_place: Place) -> None:
    stranger = sqlite_place.app.test_client()
    for number in range(20):
        assert stranger.open("/sign-in", method=f"MADE-UP{number}").status_code in (400, 405)
    methods = {
        dict(labels)["method"]
        for name, labels in fetched(sqlite_place)
        if name == "voicesketch_http_request_seconds_count"
    }
    assert "other" in methods <= {"GET", "other"}


def test_it_can_be_had_as_openmetrics(sqlite_place: Place) -> None:
    at_work(sqlite_place)
    vera = sqlite_place.script("vera", Role.VIEWER)
    answer = vera.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    families = {family.name for family in parse_openmetrics(answer.text)}
    assert {"voicesketch_jobs", "voicesketch_worker_items", "voicesketch_http_request_seconds"} <= families


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 200), (Role.SUBMITTER, 403), (Role.OPERATOR, 200), (Role.ADMIN, 200)]
)
def test_who_sees_everybodys_jobs_sees_their_numbers(sqlite_place: Place, role: Role, status: int) -> None:
    assert sqlite_place.script(f"one-{role.value}", role).get("/metrics").status_code == status


def test_a_scraper_without_a_token_is_told_so_and_not_sent_to_a_page(sqlite_place: Place) -> None:
    assert sqlite_place.app.test_client().get("/metrics").status_code == 401


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bvoicesketch_\w+", expression))


def test_alerts_and_charts_ask_for_metrics_that_there_are(sqlite_place: Place) -> None:
    at_work(sqlite_place)
    fetched(sqlite_place)  # the first one times itself, so that the second one has times to show
    there = {name for name, _ in fetched(sqlite_place)}
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    asked = {rule["alert"]: names_in(rule["expr"]) for group in groups for rule in group["rules"]}
    charts = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    asked |= {
        panel["title"]: names_in(" ".join(target["expr"] for target in panel["targets"])) for panel in charts
    }
    assert len(asked) > 20
    assert all(asked.values())
    assert {title: names - there for title, names in asked.items() if names - there} == {}


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
            assert {"summary", "do"} <= set(rule["annotations"]), rule["alert"]


def test_prometheus_itself_accepts_rules_and_metrics(sqlite_place: Place) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    rules = subprocess.run(
        [promtool, "check", "rules", MONITORING / "alerts.yaml"], capture_output=True, check=False
    )
    assert rules.returncode == 0, rules.stdout
    at_work(sqlite_place)
    text = sqlite_place.script("vera", Role.VIEWER).get("/metrics").text
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()
