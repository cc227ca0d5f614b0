"""Turns a training into checkpoints and back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from worker.ml.training import collectives
from worker.ml.training.checkpoint_files import read_checkpoint
from worker.ml.training.checkpoints import Checkpoint, Checkpoints
from worker.ml.training.events import Note, Tell
from worker.ml.training.failures import TrainingFailed
from worker.ml.training.history import History
from worker.ml.training.identity import check_identity, identity, versions
from worker.ml.training.precision import Bits
from worker.ml.training.settings import RunSettings
from worker.ml.training.state import Best, State
from worker.ml.training.task import Phase, World
from worker.ml.training.trainees import Trainee

# A checkpoint at the end of every epoch, unless writing them takes a larger share of the time than this.
_LARGEST_SHARE = 0.05
_QUICK_SECONDS = 0.25


class Keeper:
    """Saves and restores a training.

    Attributes:
        checkpoints: of the run folder.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        run: RunSettings,
        phases: Sequence[Phase],
        trainees: Sequence[Trainee],
        world: World,
        bits: Bits,
        tell: Tell,
    ) -> None:
        self.checkpoints = checkpoints
        self._identity = identity(run, phases)
        self._trainees, self._world, self._bits, self._tell = trainees, world, bits, tell
        self._longest_seconds = 60 * run.checkpoint_minutes
        self._saved_at, self._save_took = time.monotonic(), 0.0
        self._saved: dict[str, Any] | None = None

    def save(self, state: State, history: History, *, is_best: bool = False) -> None:
        """Write a checkpoint, unless this very state was just written. In the first process alone.

        Raises:
            OSError: such as a full disk.
        """
        values = {**state.as_json(), "seconds": 0.0}
        if self._saved == values:
            return
        began = time.monotonic()
        tensors = {name: value for trainee in self._trainees for name, value in trainee.tensors().items()}
        contents = {
            "identity": self._identity,
            "state": state.as_json(),
            "scalers": {trainee.name: trainee.scaler_state() for trainee in self._trainees},
            "bits": self._bits,
            "versions": versions(),
        }
        tensors["history"] = history.as_tensor()
        self.checkpoints.save(state.place.step, tensors, contents, is_best=is_best)
        self._saved, self._saved_at = values, time.monotonic()
        self._save_took = self._saved_at - began

    @property
    def is_due(self) -> bool:
        """Whether the longest time without a checkpoint is over."""
        return time.monotonic() - self._saved_at >= self._longest_seconds

    @property
    def is_due_after_epoch(self) -> bool:
        """Whether one at the end of this epoch costs little."""
        since = time.monotonic() - self._saved_at
        return self.is_due or self._save_took < max(_QUICK_SECONDS, _LARGEST_SHARE * since)

    def find(self) -> Checkpoint | None:
        """The checkpoint to go on from, the same in all processes.

        Raises:
            TrainingFailed: `checkpoint_mismatch`.
        """
        found = self.checkpoints.newest() if self._world.rank == 0 else None
        name = collectives.from_first(None if found is None else found.path.name)
        if name is not None:
            # The same name in all processes, but on each host in a folder of its own.
            path = self.checkpoints.folder / name
            collectives.copy_from_first(path)
            found = found or Checkpoint(path, *read_checkpoint(path))
        if found is None:
            return None
        check_identity(found.state.get("identity", {}), self._identity)
        self._compare(found.state)
        return found

    def state_of(self, checkpoint: Checkpoint) -> State:
        """What a checkpoint says besides its tensors.

        Raises:
            TrainingFailed: `checkpoint_mismatch`.
        """
        state = self._read_state(checkpoint)
        self._saved = {**state.as_json(), "seconds": 0.0}
        return state

    def restore_weights(self, checkpoint: Checkpoint) -> None:
        """Networks and averages.

        Raises:
            TrainingFailed: `checkpoint_mismatch`.
        """
        try:
            for trainee in self._trainees:
                trainee.restore_weights(checkpoint.tensors)
        except (KeyError, RuntimeError) as failure:
            raise _mismatch(checkpoint) from failure

    def restore_optimisers(self, checkpoint: Checkpoint) -> None:
        """What optimisers and scalers remember.

        Raises:
            TrainingFailed: `checkpoint_mismatch`.
        """
        scalers: Mapping[str, Any] = checkpoint.state.get("scalers", {})
        try:
            for trainee in self._trainees:
                trainee.restore_optimiser(checkpoint.tensors, scalers.get(trainee.name))
        except (KeyError, RuntimeError, ValueError) as failure:
            raise _mismatch(checkpoint) from failure

    def mend_best(self, checkpoint: Checkpoint, state: State) -> None:
        """Have the best be the one that the state names, where a kill came between the two; all processes alike."""
        if state.best is None:
            return
        # Whether a validation is the best so far decides when a phase ends, so none may know another best.
        if collectives.from_first(self._world.rank == 0 and not self._has_best(checkpoint, state.best)):
            state.best = None

    def _has_best(self, checkpoint: Checkpoint, best: Best) -> bool:
        """Whether the best checkpoint is there, once it was made of this one where it could be."""
        if checkpoint.path != self.checkpoints.best and checkpoint.path.stem == f"{best.step:08d}":
            if self.checkpoints.step_of_best() != best.step:
                self.checkpoints.make_best(checkpoint.path, best.step)
        elif self.checkpoints.step_of_best() is None:
            self._tell(
                Note(
                    f"The best checkpoint so far, of step {best.step}, is gone. The next best takes its place.",
                    "warning",
                )
            )
            return False
        return True

    def best_of(self, state: State) -> Checkpoint | None:
        """The best checkpoint of the phase under way, if there is one; the same in all processes."""
        if state.best is None:
            return None
        there = collectives.from_first(self.checkpoints.best.exists())
        if there:
            collectives.copy_from_first(self.checkpoints.best)
        best = self.checkpoints.read_best() if there else None
        if best is None or best.state.get("identity") != self._identity:
            return None
        return best

    def state_of_best(self, best: Checkpoint) -> Best | None:
        """Which validation the best checkpoint is of: its own word counts, should a state know another."""
        return self._read_state(best).best

    def _read_state(self, checkpoint: Checkpoint) -> State:
        try:
            return State.of_json(checkpoint.state["state"])
        except (KeyError, TypeError) as failure:
            raise _mismatch(checkpoint) from failure

    def _compare(self, state: Mapping[str, Any]) -> None:
        if state.get("bits") != self._bits:
            self._tell(
                Note(
                    f"The checkpoint was computed in {state.get('bits')} and it goes on in {self._bits}: from here on "
                    "the numbers are not those that one machine would have given.",
                    "warning",
                )
            )
        here = versions()
        others = [
            f"{name} {value}" for name, value in state.get("versions", {}).items() if here.get(name) != value
        ]
        if others:
            self._tell(Note(f"The checkpoint was made with {', '.join(others)}.", "warning"))


def _mismatch(checkpoint: Checkpoint) -> TrainingFailed:
    return TrainingFailed(
        "checkpoint_mismatch",
        f"{checkpoint.path.name} is not a checkpoint of these networks. Run this training in a folder of its own.",
    )
