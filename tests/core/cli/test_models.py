"""`voicesketch models export` from a service that means no good, and `voicesketch convert`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.convert import app as convert_command
from core.cli.models import app as models_command
from tests.core.client.small_service import Answer, Asked, in_json, problem, small_service
from tests.worker.ml.test_keras_vgg_face import layers_of, write_h5

WEIGHTS = b"weights"


def service_with(file: dict[str, Any]) -> Any:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/v1/models/m":
            return in_json({"label": "m@1", "files": [{"size_bytes": 7, "url": "/file", **file}]})
        return Answer(200, WEIGHTS) if asked.path == "/file" else problem(404, "not_found", "no")

    return answer


def export(tmp_path: Path, file: dict[str, Any]) -> tuple[int, str]:
    (tmp_path / "home").mkdir()
    with small_service(service_with(file)) as service:
        arguments = [
            "export",
            "m",
            "--out",
            str(tmp_path / "home" / "m"),
            "--url",
            service.url,
            "--token",
            "t",
        ]
        outcome = CliRunner().invoke(models_command, arguments)
    return outcome.exit_code, outcome.stderr


def test_a_whole_file_is_kept(tmp_path: Path) -> None:
    good = {"name": "model.safetensors", "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    assert export(tmp_path, good)[0] == 0
    assert (tmp_path / "home" / "m" / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "encoder/../../evil", "a/b/c", "..", "", ".", "..\\evil"]
)
def test_a_service_cannot_choose_where_files_go(tmp_path: Path, name: str) -> None:
    code, told = export(tmp_path, {"name": name, "sha256": hashlib.sha256(WEIGHTS).hexdigest()})
    assert code == 2
    assert "no safe file name" in told
    assert [path.name for path in tmp_path.rglob("*")] == ["home"]


def test_a_damaged_file_is_not_kept(tmp_path: Path) -> None:
    code, told = export(tmp_path, {"name": "model.safetensors", "sha256": "0" * 64})
    assert code == 3
    assert "came damaged" in told
    assert [path.name for path in tmp_path.rglob("*")] == ["home"]


def test_convert_tells_the_variants_apart_and_refuses_sizes_that_are_not_vgg_faces(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_h5(tmp_path / "w.h5", layers_of("rcmalli"))
    outcome = CliRunner().invoke(convert_command, ["vggface", str(path), "--out", str(tmp_path / "model")])
    assert outcome.exit_code == 2
    assert capfd.readouterr().err.splitlines()[-1] == (
        "This is not a checkpoint of vggface_rcmalli: "
        "the tensor layer1.0.weight is [3, 3, 3, 3] and should be [64, 3, 3, 3]."
    )
    assert [file.name for file in tmp_path.iterdir()] == ["w.h5"]
