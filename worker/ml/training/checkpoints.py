"""The checkpoints of a run: the last two and the best, and which of them to go on from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from worker.ml.training.checkpoint_files import (
    DamagedCheckpoint,
    read_checkpoint,
    read_state,
    sync_folder,
    write_checkpoint,
)
from worker.ml.training.events import File, Note, Tell

BEST = "best.safetensors"
KEPT = 2


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole."""

    path: Path
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The folder `checkpoints/`. Tells which files are there and which are gone."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self.folder, self._tell = folder, tell

    @property
    def best(self) -> Path:
        """Where the best one lies, if there is one."""
        return self.folder / BEST

    def numbered(self) -> list[Path]:
        """All but the best, the newest first."""
        return sorted(self.folder.glob("[0-9]*.safetensors"), reverse=True)

    def save(
        self, step: int, tensors: Mapping[str, torch.Tensor], state: Mapping[str, Any], *, is_best: bool
    ) -> None:
        """Write a checkpoint, and clear away those that are no longer kept.

        Raises:
            OSError: such as a full disk; what was there before still is.
        """
        path = self.folder / f"{step:08d}.safetensors"
        write_checkpoint(path, tensors, state)
        self._tell(File("checkpoint", self._name(path), step))
        if is_best:
            self.make_best(path, step)
        for old in self.numbered()[KEPT:]:
            self._remove(old)

    def make_best(self, path: Path, step: int) -> None:
        """Have the best be this one. The same file under two names where the file system can do that."""
        unfinished = self.best.with_name(f"{BEST}.part")
        unfinished.unlink(missing_ok=True)
        try:
            os.link(path, unfinished)
        except OSError:
            shutil.copyfile(path, unfinished)
        unfinished.replace(self.best)
        sync_folder(self.folder)
        self._tell(File("best", self._name(self.best), step))

    def newest(self) -> Checkpoint | None:
        """The newest whole one. Damaged ones are said and removed; the best is the last resort."""
        for path in [*self.numbered(), self.best]:
            try:
                return Checkpoint(path, *read_checkpoint(path))
            except FileNotFoundError:
                continue
            except DamagedCheckpoint as failure:
                self._tell(
                    Note(f"Checkpoint damaged: {failure}. Going on from the one before, if any.", "warning")
                )
                self._remove(path)
        return None

    def read_best(self) -> Checkpoint | None:
        """The best one; a damaged one is said."""
        try:
            return Checkpoint(self.best, *read_checkpoint(self.best))
        except FileNotFoundError:
            return None
        except DamagedCheckpoint as failure:
            self._tell(Note(f"Checkpoint damaged: {failure}. The last weights are used.", "warning"))
            return None

    def step_of_best(self) -> int | None:
        """Of which step the best one is, if there is one that can be read."""
        try:
            return int(read_state(self.best)["state"]["place"]["step"])
        except (FileNotFoundError, DamagedCheckpoint, KeyError, TypeError):
            return None

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        kind = "best" if path.name == BEST else "checkpoint"
        step = int(path.stem) if path.stem.isdigit() else None
        self._tell(File(kind, self._name(path), step, gone=True))

    def _name(self, path: Path) -> str:
        return f"{self.folder.name}/{path.name}"
