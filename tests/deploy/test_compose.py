"""The compose file and the images say what the code does: no variable, command, port or file of theirs is made up."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from core.alive import PARTS
from core.config import PREFIX, Settings, load_settings
from core.ledger.database import Database

CHECKOUT = Path(__file__).resolve().parents[2]
IMAGES = CHECKOUT / "deploy" / "images"
OURS = ("prepare", "dashboard", "ticker", "worker", "worker-gpu")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return read


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets") / "made"
    subprocess.run([CHECKOUT / "deploy" / "make_secrets.sh", folder], check=True, capture_output=True)
    return folder


def test_the_services_are_the_parts_of_the_design(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"postgres", "valkey", "store", *OURS}
    assert compose["services"]["worker-gpu"]["profiles"] == ["gpu"]


def test_nobody_is_root_or_writes_outside_volumes(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert int(service["user"].split(":")[0]) > 0, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert not service.get("privileged"), name


def test_a_place_that_a_process_of_ours_writes_to_can_be_written_to(compose: dict[str, Any]) -> None:
    """The ticker's own sign of life lies in the cache: without a place for it, it would never count as healthy."""
    for name in OURS:
        service = compose["services"][name]
        writable = {place.split(":")[0] for place in service["tmpfs"]}
        writable |= {volume.split(":")[1] for volume in service.get("volumes", [])}
        assert {"/tmp", service["environment"]["VOICESKETCH_CACHE_FOLDER"]} <= writable, name


def test_everything_that_stays_is_watched_and_comes_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "prepare":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"]), name


def test_health_checks_of_ours_ask_for_parts_that_can_be_asked_for(compose: dict[str, Any]) -> None:
    asked = {name: compose["services"][name]["healthcheck"]["test"] for name in OURS if name != "prepare"}
    assert all(test[:4] == ["CMD", "python", "-m", "core.alive"] for test in asked.values())
    assert {name: test[4] for name, test in asked.items()} == {
        "dashboard": "dashboard",
        "ticker": "ticker",
        "worker": "worker",
        "worker-gpu": "worker",
    }
    assert {test[4] for test in asked.values()} == set(PARTS)


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    for name in OURS:
        for variable in compose["services"][name]["environment"]:
            if variable == "REMAP_SIGTERM":  # Celery's own
                continue
            setting = variable.removeprefix(PREFIX).lower()
            assert variable.startswith(PREFIX), variable
            assert (
                setting in Settings.model_fields or setting.removesuffix("_file") in Settings.model_fields
            ), variable


def test_every_other_setting_can_be_given_to_all_of_ours_in_a_file(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert compose["services"][name]["env_file"] == [{"path": "deploy/settings.env", "required": False}]
    # It holds a place's own settings, and belongs to no commit.
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/settings.env"], cwd=CHECKOUT, capture_output=True, check=False
    )
    assert ignored.returncode == 0


def test_who_stands_in_front_can_be_said_from_outside(compose: dict[str, Any]) -> None:
    """What docs/deployment.md tells those with a proxy to set; else everybody would have the proxy's address."""
    for setting, usual in (("PUBLIC_URL", "http://127.0.0.1:8000"), ("TRUSTED_PROXIES", "0")):
        given = compose["services"]["dashboard"]["environment"][f"{PREFIX}{setting}"]
        assert given == f"${{{PREFIX}{setting}:-{usual}}}"


def test_every_command_names_a_module_that_is_there(compose: dict[str, Any]) -> None:
    commands = {name: compose["services"][name]["command"] for name in OURS}
    assert commands["prepare"][:3] == ["python", "-m", "core.bootstrap"]
    assert commands["ticker"] == ["python", "-m", "core.ticker"]
    assert commands["worker"] == commands["worker-gpu"]
    assert commands["worker"][:4] == ["celery", "-A", "worker.app", "worker"]
    assert commands["dashboard"][2] == "python:dashboard.gunicorn_config"
    assert commands["dashboard"][-1] == "dashboard.wsgi:app"
    for module in (
        "core.bootstrap",
        "core.ticker",
        "worker.app",
        "dashboard.gunicorn_config",
        "dashboard.wsgi",
    ):
        assert importlib.util.find_spec(module.split(":")[0]) is not None, module


def test_images_start_what_compose_starts(compose: dict[str, Any]) -> None:
    for name in ("dashboard", "worker"):
        last = [line for line in dockerfile(name).splitlines() if line.startswith("CMD ")]
        assert json.loads(last[-1].removeprefix("CMD ")) == compose["services"][name]["command"]


def test_ports_of_addresses_are_those_that_servers_listen_on(compose: dict[str, Any], secrets: Path) -> None:
    services = compose["services"]
    endpoint = services["worker"]["environment"]["VOICESKETCH_S3_ENDPOINT_URL"]
    assert endpoint == "http://store:8333"
    assert "-s3.port=8333" in services["store"]["command"]
    assert "@valkey:6379/" in (secrets / "broker_url").read_text()
    assert "port 6379" in (secrets / "valkey_conf").read_text()
    assert "@postgres:5432/" in (secrets / "database_url").read_text()
    assert services["dashboard"]["command"][4] == "0.0.0.0:8000"
    assert services["dashboard"]["ports"] == ["127.0.0.1:${VOICESKETCH_PORT:-8000}:8000"]


def test_every_secret_that_is_used_is_declared_and_made(compose: dict[str, Any], secrets: Path) -> None:
    used = {one for service in compose["services"].values() for one in service.get("secrets", [])}
    assert used == set(compose["secrets"])
    for name, declared in compose["secrets"].items():
        assert declared == {"file": f"deploy/secrets/{name}"}
        assert (secrets / name).stat().st_size > 10, name
    for name in OURS:
        for variable, value in compose["services"][name]["environment"].items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in compose["services"][name]["secrets"], variable


def test_secrets_are_made_once_and_for_their_owner_only(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    subprocess.run([CHECKOUT / "deploy" / "make_secrets.sh", secrets], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert len(set(before.values())) == len(before)
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/secret_key"], cwd=CHECKOUT, capture_output=True, check=False
    )
    assert ignored.returncode == 0


def test_settings_are_read_from_the_files_of_secrets(compose: dict[str, Any], secrets: Path) -> None:
    environ = {
        name: str(value).replace("/run/secrets", str(secrets))
        for name, value in compose["services"]["worker"]["environment"].items()
        if "${" not in str(value)
    }
    settings = load_settings(environ)
    assert settings.secret_key.get_secret_value() == (secrets / "secret_key").read_text()
    assert settings.device == "cpu"
    assert Database(settings.database_url).engine.url.host == "postgres"


@pytest.mark.parametrize(
    ("image", "extras"), [("dashboard", ["dashboard"]), ("worker", ["worker", "faces", "evaluate"])]
)
def test_the_list_of_an_image_has_all_that_it_needs(image: str, extras: list[str]) -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    listed, whole = locked(IMAGES / f"{image}.lock"), locked(CHECKOUT / "requirements.lock")
    missing = {name for line in wanted if (name := canonicalize_name(Requirement(line).name)) not in listed}
    assert not missing
    # The very versions that are tested.
    assert {name: listed[name] for name in listed if name in whole} == {
        n: whole[n] for n in listed if n in whole
    }
    assert not set(listed) - set(whole)


def test_the_dashboard_has_no_torch_and_no_media_libraries() -> None:
    assert not {"torch", "torchaudio", "av", "transformers", "numpy"} & set(locked(IMAGES / "dashboard.lock"))


@pytest.mark.parametrize("image", ["dashboard", "worker"])
def test_what_an_image_copies_is_there_and_is_let_through(image: str) -> None:
    let_through = (CHECKOUT / ".dockerignore").read_text().splitlines()
    copied = [
        shlex.split(line)[1] for line in dockerfile(image).splitlines() if re.match(r"COPY (?!--from)", line)
    ]
    assert len(copied) > 4
    for source in copied:
        assert (CHECKOUT / source).exists(), source
        assert any(
            source == line[1:] or source.startswith(line[1:] + "/") for line in let_through if line[:1] == "!"
        ), source


@pytest.mark.parametrize("image", ["dashboard", "worker"])
def test_an_image_runs_as_nobody_in_particular_and_installs_by_hash(image: str) -> None:
    text = dockerfile(image)
    assert "\nUSER 10001:10001\n" in text
    assert "--require-hashes" in text
    assert all(
        ":" in line.split()[1] and "latest" not in line
        for line in text.splitlines()
        if line.startswith("FROM ")
    )


def dockerfile(image: str) -> str:
    return (IMAGES / f"{image}.Dockerfile").read_text()


def locked(file: Path) -> dict[str, str]:
    """Versions by name; hashes are pip's business."""
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", file.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}
