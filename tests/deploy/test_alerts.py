"""Each alert of deploy/monitoring, played by Prometheus itself over made-up measurements: silent until it is due, and
silent where everything is as it should be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)
RULES = REPOSITORY / "deploy" / "monitoring" / "alerts.yaml"
DOORBELL = "voicesketch_doorbell_oldest_wait_seconds"
WAITING = 'voicesketch_queue_items{queue="gpu", state="waiting"}'
WORKERS = 'voicesketch_queue_workers{queue="gpu"}'
DONE = 'voicesketch_worker_items_total{worker="w1", host="h1", state="done"}'
FAILED = 'voicesketch_worker_items_total{worker="w1", host="h1", state="failed"}'
LOST = 'voicesketch_claims{state="lost"}'
FIRST_WAIT = 'voicesketch_queue_first_wait_seconds{queue="gpu"}'
HEAT = 'voicesketch_worker_device_temperature_celsius{worker="w1", host="h1"}'
GPU = {"queue": "gpu"}


@dataclass(frozen=True)
class Case:
    """What is measured each minute, in Prometheus' own short form (`0x4 5+1x20`), and when somebody is woken.

    Args:
        fires: the first minute at which the alert fires; None where it must never.
        ends: the first minute at which it is over again.
        minutes: how long to watch.
    """

    alert: str
    title: str
    series: Mapping[str, str]
    fires: int | None
    labels: Mapping[str, str] = field(default_factory=dict)
    ends: int | None = None
    minutes: int = 40


def answers(endpoint: str, status: str = "2xx") -> str:
    labels = f'method="GET", endpoint="{endpoint}", status="{status}"'
    return f"voicesketch_http_request_seconds_count{{{labels}}}"


def times(endpoint: str, up_to: str) -> str:
    labels = f'method="GET", endpoint="{endpoint}", status="2xx", le="{up_to}"'
    return f"voicesketch_http_request_seconds_bucket{{{labels}}}"


CASES = (
    Case("NoDashboardAnswers", "one answers, and then no more", {DOORBELL: "0x9 stale _x9 0x20"}, 12, ends=20),
    Case(
        "NoDashboardAnswers",
        "one of two is being restarted",
        {f'{DOORBELL}{{instance="a"}}': "0x9 stale _x9 0x20", f'{DOORBELL}{{instance="b"}}': "0x40"},
        None,
    ),
    Case(
        "PartIsAway",
        "nobody sees a ticker from minute ten on",
        {'voicesketch_part_ready{part="ticker"}': "1x9 0x30", 'voicesketch_part_ready{part="store"}': "1x40"},
        12,
        {"part": "ticker"},
    ),
    Case(
        "PartIsAway", "the store is restarted", {'voicesketch_part_ready{part="store"}': "1x9 0 1x29"}, None
    ),
    Case("NobodyDraws", "work comes, and no worker", {WAITING: "0x4 5x35", WORKERS: "0x40"}, 10, GPU),
    Case(
        "NobodyDraws", "a worker comes in time", {WAITING: "0x4 5x35", WORKERS: "0x8 1x31"}, None
    ),
    Case(
        "NobodyDraws",
        "another queue has workers",
        {
            WAITING: "5x40",
            WORKERS: "0x40",
            'voicesketch_queue_items{queue="cpu", state="waiting"}': "5x40",
            'voicesketch_queue_workers{queue="cpu"}': "3x40",
        },
        5,
        GPU,
    ),
    Case(
        "WorkDoesNotMove",
        "a worker hangs at minute ten",
        {WAITING: "50x60", WORKERS: "1x60", DONE: "0+5x10 50x50"},
        # The last item still counts for ten minutes, and ten more must pass.
        30,
        minutes=50,
    ),
    Case(
        "WorkDoesNotMove",
        "work comes after a quiet night and is begun with",
        {WAITING: "0x30 500x30", WORKERS: "1x60", DONE: "900x33 900+5x27"},
        None,
        minutes=60,
    ),
    Case(
        "WorkDoesNotMove",
        "nobody is there, for which there is another alert",
        {WAITING: "50x60", WORKERS: "0x60", DONE: "900x60"},
        None,
        minutes=60,
    ),
    Case("DoorbellsAreNotRung", "the broker is away", {DOORBELL: "0x4 30+60x35"}, 8),
    Case("DoorbellsAreNotRung", "the broker was away for a minute", {DOORBELL: "0x4 30 90 0x34"}, None),
    Case("PeopleWaitLong", "a job is passed over", {FIRST_WAIT: "0+60x90"}, 76, GPU, minutes=90),
    Case(
        "PeopleWaitLong",
        "a large job is at work for hours",
        {FIRST_WAIT: "0x120", 'voicesketch_queue_oldest_wait_seconds{queue="gpu"}': "0+60x120"},
        None,
        minutes=120,
    ),
    Case("LeasesAreLost", "six within minutes", {LOST: "9x9 10 11 12 13 14 15x40"}, 14, ends=40, minutes=50),
    Case("LeasesAreLost", "a host is taken away", {LOST: "9x9 11x40"}, None),
    Case("LeasesAreLost", "somebody's data are erased", {LOST: "90x9 11x40"}, None),
    Case(
        "ManyRecordingsFail",
        "a model breaks",
        {DONE: "0+10x20 200x40", FAILED: "0x20 10+10x40"},
        # A fifth of the last quarter of an hour at minute 24, and a quarter of an hour more.
        39,
        minutes=60,
    ),
    Case(
        "ManyRecordingsFail",
        "a small job has one bad file in three",
        {DONE: "5x9 7x51", FAILED: "5x9 6x51"},
        None,
        minutes=60,
    ),
    Case("ManyRecordingsFail", "nothing is drawn", {DONE: "5x40", FAILED: "5x40"}, None),
    Case("DeviceIsHot", "the fan stops", {HEAT: "70x4 90x36"}, 15, {"host": "h1"}),
    Case("DeviceIsHot", "for a moment", {HEAT: "70x4 90x6 70x30"}, None),
    Case(
        "PagesAreSlow",
        "one page in ten, while probes are quick",
        {
            times("pages.jobs", "1.0"): "0+9x40",
            times("pages.jobs", "2.5"): "0+10x40",
            times("pages.jobs", "+Inf"): "0+10x40",
            times("health.readyz", "1.0"): "0+600x40",
            times("health.readyz", "2.5"): "0+600x40",
            times("health.readyz", "+Inf"): "0+600x40",
        },
        11,
    ),
    Case(
        "PagesAreSlow",
        "one page in fifty",
        {
            times("pages.jobs", "1.0"): "0+49x40",
            times("pages.jobs", "2.5"): "0+50x40",
            times("pages.jobs", "+Inf"): "0+50x40",
        },
        None,
    ),
    Case("AnswersAreErrors", "ten a minute", {answers("pages.jobs", "5xx"): "0x9 0+10x30"}, 17, ends=None),
    Case("AnswersAreErrors", "two a minute", {answers("pages.jobs", "5xx"): "0+2x40"}, None),
    Case(
        "AnswersAreErrors",
        "a part is away, which /readyz is asked for",
        {answers("health.readyz", "5xx"): "0+12x40"},
        None,
    ),
)  # fmt: skip


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def as_promtool_wants_it(case: Case) -> dict[str, Any]:
    rule = rules()[case.alert]
    firing = {
        "exp_labels": {**rule["labels"], **case.labels},
        "exp_annotations": {name: filled_in(text, case.labels) for name, text in rule["annotations"].items()},
    }
    fires = case.minutes + 1 if case.fires is None else case.fires
    ends = case.minutes + 1 if case.ends is None else case.ends
    return {
        "name": f"{case.alert}: {case.title}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": case.alert,
                "exp_alerts": [firing] if fires <= minute < ends else [],
            }
            for minute in range(case.minutes + 1)
        ],
    }


def filled_in(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels.get(found[1], ""), text)


def played(cases: tuple[Case, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "cases.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(RULES)],
                "evaluation_interval": "1m",
                "tests": [as_promtool_wants_it(case) for case in cases],
            }
        )
    )
    return subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False, timeout=120
    )


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert {case.alert for case in CASES if case.fires is not None} == set(rules())
    assert {case.alert for case in CASES if case.fires is None} == set(rules())


@needs_promtool
def test_prometheus_wakes_somebody_when_it_should_and_not_before(tmp_path: Path) -> None:
    done = played(CASES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_case_that_does_not_hold_would_be_found(tmp_path: Path) -> None:
    early = Case("DeviceIsHot", "too early", {HEAT: "70x4 90x36"}, 14, {"host": "h1"})
    assert played((early,), tmp_path).returncode != 0


@needs_promtool
def test_prometheus_takes_its_configuration_and_every_question_of_the_charts(tmp_path: Path) -> None:
    token, place = tmp_path / "token", "/etc/prometheus/voicesketch_token"
    token.write_text("a token")
    (tmp_path / "alerts.yaml").write_text(RULES.read_text())
    config = (RULES.parent / "prometheus.yaml").read_text()
    assert place in config
    (tmp_path / "prometheus.yaml").write_text(config.replace(place, str(token)))
    charts = json.loads((RULES.parent / "grafana.json").read_text())["panels"]
    asked = [target["expr"] for panel in charts for target in panel["targets"]]
    assert len(asked) > 12
    # Rules that keep the answers: whatever can be asked can be kept.
    kept = [{"record": f"chart:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "charts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "charts", "rules": kept}]}))
    for check in (("config", "prometheus.yaml"), ("rules", "charts.yaml")):
        done = subprocess.run(
            ["promtool", "check", *check], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
