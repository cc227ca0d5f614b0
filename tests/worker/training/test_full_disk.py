"""A real training on a disk that fills up at one place after another."""

from __future__ import annotations

from pathlib import Path

from tests.worker.conftest import SmallDisk
from tests.worker.training.made_up import MadeUp, spec
from tests.worker.training.running import recipe, run
from worker.ml.training.failures import TrainingFailed


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in (folder / "model").rglob("*.safetensors")}


def test_wherever_the_disk_fills_up_it_is_said_and_the_weights_come_out_the_same(
    made_up: MadeUp, disk: SmallDisk, tmp_path: Path
) -> None:
    wanted = spec(recipe("matching", loop={"epochs": 2, "batch": 8}))
    run(made_up, tmp_path / "whole", wanted)
    folder, said = disk.folder / "run", []
    folder.mkdir()
    for kib in range(12, 1000, 24):
        disk.resize(kib)
        try:
            run(made_up, folder, wanted)
            break
        except TrainingFailed as failed:
            said.append(failed.code)
            assert not list(folder.rglob("*.part")) or (folder / "model.part").is_dir(), (
                "nothing torn is left"
            )
    assert len(said) >= 5 and set(said) == {"disk_full"}
    assert weights(folder) == weights(tmp_path / "whole")
