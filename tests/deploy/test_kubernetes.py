"""What Kubernetes and Slurm are given says what compose says, fits its schemas, and asks the ledger rightly."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import text, update

from core.alive import PARTS
from core.claims.worker_queries import list_queues
from core.config import PREFIX, Settings, load_settings
from core.ledger.database import Database, now
from core.ledger.tables import Job
from tests.factories import Ledger
from tests.ledgers import make_ledger
from tests.servers import Postgres

CHECKOUT = Path(__file__).resolve().parents[2]
KUBERNETES = CHECKOUT / "deploy" / "kubernetes"
FOLDERS = (".", "gpu", "cpu", "scaling")
WORKLOADS = {"Deployment", "Job"}


def documents(folder: str) -> list[dict[str, Any]]:
    """What `kubectl apply -k` of that folder applies, but for what it generates."""
    listed = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())["resources"]
    return [one for name in listed for one in yaml.safe_load_all((KUBERNETES / folder / name).read_text())]


def everything() -> list[dict[str, Any]]:
    return [one for folder in FOLDERS for one in documents(folder)]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for one in everything():
        if one["kind"] in WORKLOADS:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    return services


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_a_folder_is_applied(folder: str) -> None:
    listed = set(yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())["resources"])
    there = {path.name for path in (KUBERNETES / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert listed == there


def test_whatever_kubernetes_knows_fits_its_schema() -> None:
    import kubernetes_validate  # seconds to load, for these two tests only

    known = [one for one in everything() if not one["apiVersion"].startswith("keda.sh/")]
    assert len(known) == 12
    for one in known:
        kubernetes_validate.validate(one, "1.37", strict=True)


def test_a_field_that_there_is_not_would_be_found() -> None:
    import kubernetes_validate

    wrong = documents("gpu")[0]
    wrong["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_renders_it(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rendered = [one for one in yaml.safe_load_all(done.stdout) if one["kind"] != "ConfigMap"]
    assert {(one["kind"], one["metadata"]["name"]) for one in rendered} == {
        (one["kind"], one["metadata"]["name"]) for one in documents(folder)
    }
    assert {one["metadata"]["namespace"] for one in rendered} == {"voicesketch"}


def test_pods_run_the_commands_of_the_compose_file_in_its_images(compose: dict[str, Any]) -> None:
    found = dict(pods())
    assert set(found) == {"prepare", "dashboard", "ticker", "worker-gpu", "worker-cpu"}
    for name, pod in found.items():
        service = compose["worker" if name == "worker-cpu" else name]
        container = pod["containers"][0]
        expected = [word.replace("/run/secrets/", "/run/secrets/voicesketch/") for word in service["command"]]
        assert container["command"] == expected, name
        assert container["image"] == service["image"], name
        graceful = int(str(service.get("stop_grace_period", "10s")).removesuffix("s"))
        assert pod.get("terminationGracePeriodSeconds", 30) >= graceful, name


def test_pods_are_nobody_write_nowhere_and_have_limits() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}, name


def test_a_gpu_worker_has_one_gpu_and_the_other_has_none() -> None:
    limits = {name: pod["containers"][0]["resources"]["limits"] for name, pod in pods()}
    assert limits["worker-gpu"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits["worker-cpu"]


def test_probes_ask_for_parts_that_can_be_asked_for() -> None:
    asked = [
        probe["exec"]["command"]
        for _, pod in pods()
        for container in pod["containers"]
        if (probe := container.get("livenessProbe")) and "exec" in probe
    ]
    assert len(asked) == 3
    assert all(command[:3] == ["python", "-m", "core.alive"] for command in asked)
    assert {command[3] for command in asked} < set(PARTS)


def test_every_variable_is_a_setting_and_every_secret_is_one_of_compose(compose: dict[str, Any]) -> None:
    given = dict(
        line.split("=", 1) for line in (KUBERNETES / "settings.env").read_text().splitlines() if line
    )
    variables = [*given, *(one["name"] for _, pod in pods() for one in pod["containers"][0].get("env", []))]
    for variable in set(variables) - {"REMAP_SIGTERM"}:
        setting = variable.removeprefix(PREFIX).lower().removesuffix("_file")
        assert setting in Settings.model_fields, variable
    files = {Path(value).name for name, value in given.items() if name.endswith("_FILE")}
    assert files | {"admin_password"} == set(compose["prepare"]["secrets"])
    assert all(
        value.startswith("/run/secrets/voicesketch/")
        for name, value in given.items()
        if name.endswith("_FILE")
    )


def test_the_settings_can_be_used(tmp_path: Path) -> None:
    environ = dict(
        line.split("=", 1) for line in (KUBERNETES / "settings.env").read_text().splitlines() if line
    )
    for name, value in environ.items():
        if name.endswith("_FILE"):
            file = tmp_path / Path(value).name
            file.write_text("postgresql://somebody@there/ledger" if "database" in value else "x" * 40)
            environ[name] = str(file)
    settings = load_settings(environ)
    assert "127.0.0.1" in settings.trusted_hosts.split(",")  # the probes' name for it
    assert settings.trusted_proxies == 1


def scaling_queries() -> dict[str, str]:
    (scaled,) = [one for one in documents("scaling") if one["kind"] == "ScaledObject"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in dict(pods())
    return {trigger["name"]: trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]}


@pytest.fixture
def ledger(postgres: Postgres) -> Iterator[Ledger]:
    """On PostgreSQL, which alone the scaler asks."""
    with postgres.database(made=False) as url:
        make_ledger(url)
        database = Database(url)
        yield Ledger(database)
        database.dispose()


def test_the_scaler_counts_what_the_page_of_queues_counts(ledger: Ledger) -> None:
    worker = ledger.worker()
    begun = ledger.job(5)
    ledger.claim(worker, size=2)
    waiting, ended = ledger.job(3), ledger.job(7)
    with ledger.database.write() as session:
        at = now(session)
        session.execute(
            update(Job).where(Job.id == waiting).values(queued_at=at - timedelta(seconds=500), created_at=at)
        )
        # At work for hours, as a large job is: nobody waits for a first worker.
        session.execute(update(Job).where(Job.id == begun).values(queued_at=at - timedelta(seconds=9000)))
        session.execute(update(Job).where(Job.id == ended).values(finished_at=at, state="cancelled"))
    with ledger.database.read() as session:
        (queue,) = [one for one in list_queues(session) if one.name == "gpu"]
        found = {name: float(session.scalar(text(query)) or 0) for name, query in scaling_queries().items()}
    assert found["depth"] == queue.items + queue.leased == 8
    assert found["oldest-wait"] == pytest.approx(queue.first_wait_seconds, abs=5)
    assert found["oldest-wait"] == pytest.approx(500, abs=5)
    assert queue.oldest_wait_seconds == pytest.approx(9000, abs=5)


def test_nothing_waiting_is_nought_for_the_scaler(ledger: Ledger) -> None:
    with ledger.database.read() as session:
        assert {float(session.scalar(text(query))) for query in scaling_queries().values()} == {0.0}


def test_slurm_starts_the_worker_of_the_compose_file_and_lets_it_end(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    """Run with a stand-in for celery that says how it was called and waits for its signal."""
    script = CHECKOUT / "deploy" / "slurm" / "workers.sbatch"
    said = tmp_path / "said"
    celery = tmp_path / "checkout" / ".venv" / "bin" / "celery"
    celery.parent.mkdir(parents=True)
    celery.write_text(
        "#!/bin/bash\n"
        f'echo "$* device=$VOICESKETCH_DEVICE remap=$REMAP_SIGTERM cache=$VOICESKETCH_CACHE_FOLDER" > {said}\n'
        f"trap 'echo ended >> {said}; exit 0' TERM\n"
        "while :; do sleep 0.05; done\n"
    )
    celery.chmod(0o755)
    (tmp_path / "env").write_text("VOICESKETCH_DEVICE=cuda\n")
    running = subprocess.Popen(
        ["bash", script],
        env={
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(tmp_path),
            "SLURM_JOB_ID": "17",
            "SLURM_ARRAY_TASK_ID": "3",
            "VOICESKETCH_CHECKOUT": str(tmp_path / "checkout"),
            "VOICESKETCH_ENVIRONMENT": str(tmp_path / "env"),
        },
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
        running.terminate()
        running.wait(10)
    finally:
        running.kill()
    called, ended = said.read_text().splitlines()
    assert called.startswith(" ".join(compose["worker"]["command"][1:6]))
    assert "-n worker@%h-17-3" in called
    assert f"device=cuda remap=SIGQUIT cache={tmp_path}/voicesketch-17-3" in called
    assert ended == "ended"
    assert not (tmp_path / "voicesketch-17-3").exists()
