"""The units of deploy/systemd, held against the compose file, the settings and systemd's own check."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.config import PREFIX, Settings
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "systemd"
UNITS = {
    "prepare": "voicesketch-prepare.service",
    "dashboard": "voicesketch-dashboard.service",
    "ticker": "voicesketch-ticker.service",
    "worker": "voicesketch-worker@.service",
}


def lines_of(unit: str) -> list[tuple[str, str]]:
    written = (FOLDER / UNITS[unit]).read_text().splitlines()
    return [(line.partition("=")[0], line.partition("=")[2]) for line in written if re.match(r"\w+=", line)]


def command_of(unit: str) -> list[str]:
    (command,) = [value for name, value in lines_of(unit) if name == "ExecStart"]
    words = shlex.split(command)
    return shlex.split(words[-1].split("exec ")[1]) if words[0] == "/bin/sh" else words


def test_there_is_a_unit_for_each_process_with_the_command_of_the_compose_file() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    assert {file.name for file in FOLDER.glob("*.service")} == set(UNITS.values())
    for unit in UNITS:
        program, *rest = command_of(unit)
        assert program.startswith("/opt/voicesketch/.venv/bin/")
        meant = [str(word) for word in services[unit]["command"]]
        assert Path(program).name == meant[0]
        told = {word for word in meant[1:] if word.startswith("-") or "." in word} - {"0.0.0.0:8000"}
        told -= {word for word in told if word.startswith("/run/secrets")}
        assert told <= set(rest), unit
        patience = dict(lines_of(unit))
        if grace := services[unit].get("stop_grace_period"):
            assert int(patience["TimeoutStopSec"]) >= int(grace.removesuffix("s"))


def test_every_variable_is_a_setting_and_every_secret_is_handed_over_as_a_file() -> None:
    given = re.findall(r"^(VOICESKETCH_\w+)=", (FOLDER / "voicesketch.env").read_text(), re.MULTILINE)
    for unit in UNITS:
        lines = lines_of(unit)
        handed = {value.partition(":")[0] for name, value in lines if name == "LoadCredential"}
        used = set(re.findall(r"%d/(\w+)", "\n".join(value for _, value in lines)))
        assert used == handed
        given += re.findall(r"VOICESKETCH_\w+", "\n".join(value for _, value in lines))
    names = {name.removeprefix(PREFIX).removesuffix("_FILE").lower() for name in given}
    assert {"database_url", "s3_bucket", "device"} <= names <= set(Settings.model_fields)
    assert not [
        name for name in given if re.search("KEY|DATABASE|BROKER", name) and not name.endswith("_FILE")
    ]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units_as_they_are(tmp_path: Path) -> None:
    """With our own programs where the units look for theirs."""
    files = []
    for file in UNITS.values():
        written = (
            (FOLDER / file)
            .read_text()
            .replace("/opt/voicesketch/.venv/bin", str(Path(sys.executable).parent))
        )
        files.append(tmp_path / file.replace("@.", "@0."))
        files[-1].write_text(written)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    broken = tmp_path / "broken.service"
    broken.write_text(files[0].read_text().replace("ProtectHome=yes", "ProtectHoem=yes"))
    found = subprocess.run(["systemd-analyze", "verify", broken], check=False, capture_output=True, text=True)
    assert re.search("Unknown key.*'ProtectHoem'", found.stderr)
