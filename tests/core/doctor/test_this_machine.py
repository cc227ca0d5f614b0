"""Mistakes of this machine and of the settings: planted, and found."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.config import BUNDLED_WEIGHTS, Settings
from core.doctor import addresses, data_folder, devices, machine, variables, weights
from core.doctor.findings import Finding
from core.stack.folder import DataFolder

NEEDED = {"VOICESKETCH_DATABASE_URL": "sqlite:///x", "VOICESKETCH_BROKER_URL": "redis://x"}
RANDOM_KEY = "Zq8xV3nB7mK1pL5tR9wY2cF6hJ4dG0sA"


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def of_addresses(**given: Any) -> list[str]:
    settings = Settings(
        database_url="sqlite:///x", broker_url=SecretStr("redis://x"), secret_key=SecretStr(RANDOM_KEY)
    )
    return codes(addresses.look(settings.model_copy(update=given)))


def test_addresses_that_go_together_are_left_alone() -> None:
    behind = {"public_url": "https://faces.example.org", "trusted_proxies": 1}
    assert of_addresses() == []
    assert of_addresses(**behind, trusted_hosts="faces.example.org") == []
    assert of_addresses(**behind, trusted_hosts=".example.org,127.0.0.1") == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"public_url": "faces.example.org"}, ["public_url_unusable"]),
        (
            {"public_url": "https://faces.example.org", "trusted_proxies": 1},
            ["public_url_not_trusted"],
        ),
        (
            {"public_url": "http://faces.example.org", "trusted_hosts": "faces.example.org"},
            ["public_url_without_tls"],
        ),
        (
            {"public_url": "https://faces.example.org", "trusted_hosts": "faces.example.org"},
            ["proxy_not_trusted"],
        ),
        ({"secret_key": SecretStr("")}, ["secret_key_short"]),
        ({"secret_key": SecretStr("change-me-" * 5)}, ["secret_key_guessable"]),
        ({"secret_key": SecretStr("ab" * 20)}, ["secret_key_guessable"]),
    ],
)
def test_addresses_and_keys_that_do_not_are_told(given: dict[str, Any], found: list[str]) -> None:
    assert of_addresses(**given) == found


def test_a_misspelt_variable_is_told_with_the_one_that_was_meant() -> None:
    settings, found = variables.loaded(
        {**NEEDED, "VOICESKETCH_TRUSTED_HOST": "x", "VOICESKETCH_URL": "http://x"}
    )
    assert settings is not None
    assert codes(found) == ["setting_unknown"]
    assert "VOICESKETCH_TRUSTED_HOSTS?" in found[0].do
    settings, found = variables.loaded({"VOICESKETCH_DATABASE_URL": "sqlite:///x"})
    assert settings is None and codes(found) == ["settings_unusable"]
    assert "VOICESKETCH_BROKER_URL" in found[0].says


def test_a_secret_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret_key"
    secret.write_text(RANDOM_KEY)
    files = list(variables.secret_files({**NEEDED, "VOICESKETCH_SECRET_KEY_FILE": str(secret)}))
    assert files == [secret]
    secret.chmod(0o640)
    assert variables.readable_by_others(files) == []
    secret.chmod(0o644)
    [found] = variables.readable_by_others(files)
    assert (found.code, found.do) == ("secret_readable", f"chmod 600 {secret}")
    assert RANDOM_KEY not in found.sentence()


def test_a_data_folder_that_others_can_enter_is_searched_for_open_secrets(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.run.mkdir(parents=True)
    folder.credentials.write_text("{}")
    folder.credentials.chmod(0o644)
    folder.path.chmod(0o700)
    assert data_folder.look(folder.path) == []
    folder.path.chmod(0o755)
    assert codes(data_folder.look(folder.path)) == ["secret_readable"]


def test_a_process_of_another_stack_on_the_same_folder_is_named(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.run.mkdir(parents=True, mode=0o700)
    folder.path.chmod(0o700)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=folder.run, stdin=subprocess.PIPE
    ) as process:
        [found] = data_folder.look(folder.path)
        process.kill()
    assert (found.code, str(process.pid) in found.says) == ("two_stacks", True)
    assert data_folder.look(folder.path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if (
        os.geteuid() != 0
        or shutil.which("mount") is None
        or subprocess.run(mounted, capture_output=True).returncode
    ):
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_nearly_full_is_told_once(small_disk: Path, tmp_path: Path) -> None:
    found = machine.disks([small_disk, small_disk / "not" / "there" / "yet"])
    assert [(one.code, one.severity) for one in found] == [("disk_nearly_full", "problem")]
    assert str(small_disk) in found[0].says


def test_a_cache_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert machine.cache(tmp_path / "cache" / "models") == []
    assert list((tmp_path / "cache" / "models").iterdir()) == []
    assert codes(machine.cache(tmp_path / "file" / "models")) == ["cache_not_writable"]


def test_a_low_limit_of_open_files_is_told() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert codes(machine.open_files()) == ["few_open_files"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        assert machine.open_files() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("torch", "audio", "cuda", "built_for", "gpu", "wanted", "found"),
    [
        ("2.11.0", "2.11.0", [], "12.8", False, "auto", []),
        ("2.11.0+cpu", "2.11.0", [], None, False, "auto", []),
        ("2.11.0", "2.11.0", ["NVIDIA H200"], "12.8", True, "cuda", []),
        ("2.11.0", "2.11.0", [], None, True, "cpu", []),
        ("2.15.0", "2.11.0", [], "12.8", False, "auto", ["torchaudio_mismatch"]),
        ("2.11.0+cpu", "2.11.0", [], None, True, "auto", ["torch_without_cuda"]),
        ("2.11.0", "2.11.0", [], "12.8", True, "auto", ["driver_too_old"]),
        ("2.11.0", "2.11.0", [], "12.8", False, "cuda:0", ["no_gpu"]),
        (None, None, [], None, True, "auto", []),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_explained(
    torch: str | None,
    audio: str | None,
    cuda: list[str],
    built_for: str | None,
    gpu: bool,
    wanted: str,
    found: list[str],
) -> None:
    facts = {
        "versions": {"torch": torch, "torchaudio": audio},
        "devices": {"threads": 2, "cuda": cuda, "built_for": built_for, "said": ""},
    }
    assert codes(devices.look(facts, gpu=gpu, wanted=wanted)) == found


def test_weights_that_are_missing_cut_or_without_a_configuration_are_told(tmp_path: Path) -> None:
    assert weights.bundled(BUNDLED_WEIGHTS) == []
    folder = tmp_path / "weights"
    shutil.copytree(BUNDLED_WEIGHTS, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    assert codes(weights.bundled(folder)) == ["weights_changed"]
    (folder / "model.safetensors").unlink()
    assert codes(weights.bundled(folder)) == ["weights_missing"]
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "config.json").write_text(json.dumps([]))
    assert codes(weights.bundled(folder)) == ["weights_changed"]
