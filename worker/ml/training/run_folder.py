"""What lies where in a run folder, and how files get there whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from worker.ml.training.task import Task

HISTORY = "history.csv"
EVENTS = "events/events.out.tfevents.0.voicesketch"  # a fixed name: a resumed run writes it anew


class RunFolder:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints, self.samples, self.model = (
            folder / "checkpoints",
            folder / "samples",
            folder / "model",
        )
        self.history, self.events = folder / HISTORY, folder / EVENTS
        self.kept = folder / "kept"

    def make(self) -> None:
        """Make what is missing, and clear away what a killed run left half written."""
        for folder in (self.checkpoints, self.samples, self.events.parent, self.kept):
            folder.mkdir(parents=True, exist_ok=True)
            for unfinished in folder.glob("*.part"):
                unfinished.unlink()

    def name(self, path: Path) -> str:
        """How events call a file."""
        return path.relative_to(self.folder).as_posix()

    def export(self, task: Task) -> Mapping[str, str]:
        """What was trained, as model folders below `model/`: all of them or none."""
        unfinished = self.folder / "model.part"
        for folder in (unfinished, self.model):
            if folder.exists():
                shutil.rmtree(folder)
        unfinished.mkdir(parents=True)
        roles = task.export(unfinished)
        unfinished.rename(self.model)
        return roles

    def exported(self) -> Iterator[Path]:
        """The files of the exported models."""
        return (path for path in sorted(self.model.rglob("*")) if path.is_file())


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
