"""The training loop: the same for every task.

A training is a row of phases, a phase a row of epochs, an epoch steps and a validation. Where it stands is a `Place`;
everything else that a step depends on is in weights, optimisers and averages. A checkpoint holds exactly that, so going
on from one is the same as never having stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from worker.ml.device_failures import is_out_of_memory
from worker.ml.devices import choose_device
from worker.ml.full_disk import is_full
from worker.ml.training import collectives, seeds
from worker.ml.training.checkpoints import Checkpoint, Checkpoints
from worker.ml.training.events import Ended, Event, File, Progress, Tell
from worker.ml.training.failures import Stopped, TrainingFailed
from worker.ml.training.judging import judge
from worker.ml.training.loader import Readers, to_device
from worker.ml.training.optimisers import learning_rate
from worker.ml.training.pictures import grid_png
from worker.ml.training.precision import choose_bits, determinism, make_scaler
from worker.ml.training.reports import Reports
from worker.ml.training.run_folder import RunFolder, write_whole
from worker.ml.training.samples import Samples
from worker.ml.training.saving import Keeper
from worker.ml.training.settings import RunSettings
from worker.ml.training.state import Best, Place, State
from worker.ml.training.steps import Stepper
from worker.ml.training.task import Phase, Task, World
from worker.ml.training.trainees import Trainee
from worker.ml.training.validation import Validator, as_it_will_draw

__all__ = ["RunSettings", "train"]


def train(
    task: Task,
    phases: Sequence[Phase],
    run: RunSettings,
    tell: Tell,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ended:
    """Train a task through its phases, going on from what the run folder holds.

    Args:
        tell: takes events; called in the first process only.
        should_stop: asked between steps.

    Returns:
        What was trained (docs/training.md).

    Raises:
        TrainingFailed: `not_finite`, `out_of_memory`, `disk_full`, `checkpoint_mismatch` or `invalid_recipe`.
        Stopped: it was asked to; a checkpoint is left.
    """
    world = collectives.join(choose_device(run.device))
    tell_once = tell if world.rank == 0 else _say_nothing
    try:
        with determinism(run.deterministic, world.device), Readers(run.loader_threads) as readers:
            training = _Training(task, tuple(phases), run, world, readers, tell_once, should_stop)
            try:
                return training.run()
            finally:
                training.close()
    except (OSError, RuntimeError, MemoryError) as failure:
        if is_full(failure):
            raise TrainingFailed(
                "disk_full",
                f"There is no room left on the disk of {run.folder}. Make room and go on; the last checkpoint is kept.",
            ) from failure
        if is_out_of_memory(failure):
            raise TrainingFailed(
                "out_of_memory",
                "There is not enough memory for the networks and their optimisers. Make them smaller, or take a "
                "machine with more memory.",
            ) from failure
        raise


def _say_nothing(_: Event) -> None:
    """What processes but the first tell."""


class _Training:
    """A training under way in this process."""

    def __init__(
        self,
        task: Task,
        phases: tuple[Phase, ...],
        run: RunSettings,
        world: World,
        readers: Readers,
        tell: Tell,
        should_stop: Callable[[], bool],
    ) -> None:
        self._task, self._phases, self._settings = task, phases, run
        self._tell, self._should_stop = tell, should_stop
        self._world = world = replace(world, say=self._say_at_the_beginning, kept=RunFolder(run.folder).kept)
        self._state, self._began = State(), time.monotonic()
        self._bits = choose_bits(run.precision, world.device)
        self._folder = RunFolder(run.folder)
        if world.rank == 0:
            self._folder.make()
        self._networks = [player.network for player in task.players]
        self._trainees = [Trainee(number, player) for number, player in enumerate(task.players)]
        self._keeper = Keeper(
            Checkpoints(self._folder.checkpoints, tell), run, phases, self._trainees, world, self._bits, tell
        )
        self._prepare_task()
        self._samples = Samples(task, phases, world, readers, seed=run.seed)
        self._validator = Validator(
            task, world, lambda: self._state, tell, seed=run.seed, bits=self._bits, should_stop=should_stop
        )
        # Only the first process says anything and keeps files.
        self._reports = (
            Reports(self._folder, tell, phases, self._samples.planned, world.device)
            if world.rank == 0
            else None
        )

    @property
    def _place(self) -> Place:
        return self._state.place

    def close(self) -> None:
        """Let go of files and threads; the run folder stays."""
        self._samples.close()
        if self._reports is not None:
            self._reports.history.close()

    def run(self) -> Ended:
        """All phases, and what comes after."""
        self._say("loading")
        checkpoint = self._find()
        while self._place.phase < len(self._phases):
            self._run_phase(self._phases[self._place.phase], checkpoint)
            checkpoint = None
        if checkpoint is not None:
            self._keeper.restore_weights(checkpoint)
        return self._finish()

    # --- beginning

    def _prepare_task(self) -> None:
        for network in (*self._networks, *self._task.frozen):
            network.to(self._world.device)
        for network in self._task.frozen:
            network.eval().requires_grad_(False)
        seeds.seed_weights(self._settings.seed)
        self._task.begin(self._world)
        self._copy_from_first()

    def _copy_from_first(self) -> None:
        for network in self._networks:
            collectives.broadcast_from_first([*network.parameters(), *network.buffers()])

    def _say_at_the_beginning(self, doing: str) -> None:
        if self._should_stop():
            raise Stopped(self._place.step)
        self._tell(Progress(step=0, steps=0, doing=doing))

    def _find(self) -> Checkpoint | None:
        checkpoint = self._keeper.find()
        if checkpoint is None:
            return None
        self._state = self._keeper.state_of(checkpoint)
        self._keeper.mend_best(checkpoint, self._state)
        if self._reports is not None:
            self._reports.history.restore(checkpoint.tensors["history"])
            self._reports.resumed_at = self._place.step
            self._reports.note(f"Going on from {checkpoint.path.name}.")
        return checkpoint

    def _begin_phase(self, phase: Phase, checkpoint: Checkpoint | None) -> None:
        """Have the task begin, before or after weights are restored: as it was when the checkpoint was made."""
        fresh = self._place.phase_step == 0
        if checkpoint is not None and fresh:
            self._keeper.restore_weights(checkpoint)
        for network in self._networks:
            network.train()
        seeds.seed_weights(self._settings.seed, self._place.phase)
        self._task.begin_phase(phase.name)
        for trainee in self._trainees:
            trainee.begin_phase(phase.optimiser, make_scaler(self._bits, self._world.device))
        if checkpoint is not None and not fresh:
            self._keeper.restore_weights(checkpoint)
            self._keeper.restore_optimisers(checkpoint)
        if not any(trainee.parameters for trainee in self._trainees):
            raise TrainingFailed(
                "invalid_recipe", f"Nothing is trained in phase {phase.name}: everything is frozen."
            )
        self._copy_from_first()

    # --- phases, epochs, steps

    def _run_phase(self, phase: Phase, checkpoint: Checkpoint | None) -> None:
        self._begin_phase(phase, checkpoint)
        stepper = Stepper(
            self._task,
            self._trainees,
            self._world,
            self._state,
            self._tell,
            seed=self._settings.seed,
            bits=self._bits,
            clip_norm=phase.clip_norm,
        )
        size = self._samples.batch_size(self._place)
        if size < phase.batch and self._place.phase_step == 0:
            self._note(f"{phase.name}: there are only {size} training samples for a batch of {phase.batch}.")
        while not self._is_over(phase):
            self._run_epoch(phase, stepper)
        self._samples.close()
        is_last = self._place.phase + 1 == len(self._phases)
        if not is_last:
            self._take_best(f"{self._phases[self._place.phase + 1].name} starts from")
            self._state.best, self._state.worse, self._state.phase_over = None, 0, False
        self._state.place = self._place.after_phase()
        self._save()

    def _is_over(self, phase: Phase) -> bool:
        place = self._place
        out_of_steps = phase.max_steps is not None and place.phase_step >= phase.max_steps
        # An epoch whose steps are done is still to be validated.
        return place.epoch_step == 0 and (
            self._state.phase_over or place.epoch >= phase.epochs or out_of_steps
        )

    def _run_epoch(self, phase: Phase, stepper: Stepper) -> None:
        steps = self._samples.steps_of_epoch(self._place)
        before = self._place.phase_step - self._place.epoch_step
        is_last = self._place.epoch + 1 == phase.epochs or before + steps == phase.max_steps
        validates = is_last or (self._place.epoch + 1) % self._settings.validate_epochs == 0
        self._run_steps(phase, stepper, steps, validates=validates, is_last=is_last)
        best = self._validate(phase, is_last=is_last) if validates else False
        self._state.place = self._place.after_epoch()
        if self._reports is not None and (best or self._keeper.is_due_after_epoch):
            self._save(is_best=best)

    def _run_steps(
        self, phase: Phase, stepper: Stepper, steps: int, *, validates: bool, is_last: bool
    ) -> None:
        size = self._samples.batch_size(self._place) * self._samples.busiest
        planned = self._samples.planned[self._place.phase]
        loader = self._samples.training(self._place)
        looked_ahead = False
        try:
            while self._place.epoch_step < steps:
                began = time.perf_counter()
                batches = [next(loader) for _ in range(self._samples.busiest)]
                waited = time.perf_counter() - began
                if not looked_ahead and loader.all_under_way:
                    looked_ahead = True
                    self._look_ahead(validates=validates, is_last=is_last)
                rate = learning_rate(phase.optimiser, phase.schedule, self._place.phase_step, planned)
                on_device = [to_device(batch, self._world.device) for batch in batches]
                stepper.step(self._place.step, rate, on_device)
                if self._reports is not None:
                    self._reports.throughput.add(size, time.perf_counter() - began, waited)
                self._state.place = self._place.after_step()
                self._after_step(phase, stepper, steps, rate)
            stepper.settle()
        finally:
            loader.close()

    def _after_step(self, phase: Phase, stepper: Stepper, steps: int, rate: float) -> None:
        if self._place.step % self._settings.log_steps == 0 or self._place.step == 1:
            means = stepper.take_means()
            if self._reports is not None:
                self._reports.curves(self._place, steps, phase.name, rate, means)
        self._say("training", now=False)
        stop = collectives.any_of_all(self._should_stop(), self._world.device)
        if stop or (self._reports is not None and self._keeper.is_due):
            stepper.settle()
            self._save()
        if stop:
            raise Stopped(self._place.step)

    def _look_ahead(self, *, validates: bool, is_last: bool) -> None:
        """Threads that have nothing left to read for this epoch begin with what comes next."""
        if validates and self._samples.begin_validation(self._place):
            return
        if not is_last:
            self._samples.begin_training(self._place.after_epoch())

    # --- validation

    def _validate(self, phase: Phase, *, is_last: bool) -> bool:
        """Measure, draw, and answer whether this is the best so far."""
        loader = self._samples.validation(self._place)
        batches = self._samples.validation_batches(self._place)
        means: dict[str, float] | None = {}
        with as_it_will_draw(self._networks, self._trainees):
            if loader is not None:
                self._say("validating")
                means = self._validator.measure(loader, batches)
            if means is not None and self._reports is not None:
                self._draw()
        if means is None:
            self._save()
            raise Stopped(self._place.step)
        best = bool(means) and judge(self._state, phase, self._task.best_by, means, self._note)
        if self._reports is not None and means:
            self._reports.validation(self._place, phase, means, best=best)
        return best

    def _draw(self) -> None:
        first = self._samples.first_ones(self._place, self._settings.sample_pictures)
        if first is None:
            return
        loader, split = first
        panels = self._validator.draw(to_device(next(loader), self._world.device))
        if not panels:
            return
        epoch = self._place.epochs + 1
        path = self._folder.samples / f"{split}-epoch-{epoch:05d}.png"
        write_whole(path, grid_png(panels, f"Epoch {epoch}, {split}"))
        self._tell(File("sample", self._folder.name(path), self._place.step))

    # --- saving and ending

    def _save(self, *, is_best: bool = False) -> None:
        if self._reports is None:
            return
        self._say("writing a checkpoint")
        self._state.seconds += time.monotonic() - self._began
        self._began = time.monotonic()
        self._keeper.save(self._state, self._reports.history, is_best=is_best)
        self._reports.files()

    def _take_best(self, what: str) -> Best | None:
        """Have the networks be those of the best validation of this phase; answers which that was."""
        best = self._keeper.best_of(self._state)
        if best is None:
            return None
        self._keeper.restore_weights(best)
        found = self._keeper.state_of_best(best)
        if found is not None:
            self._note(f"{what} step {found.step}: {found.metric} {found.value:.6g}.")
        return found

    def _finish(self) -> Ended:
        best = self._take_best("The model is that of")
        roles: dict[str, str] = {}
        if self._reports is not None:
            self._say("exporting")
            with as_it_will_draw(self._networks, self._trainees):
                roles = dict(self._folder.export(self._task))
            for path in self._folder.exported():
                self._tell(File("model", self._folder.name(path), self._place.step))
            self._say("done")
        seconds = self._state.seconds + time.monotonic() - self._began
        shown = best and {
            "step": best.step,
            "epoch": best.epoch,
            "metric": best.metric,
            "value": best.value,
        }
        return Ended(
            "stopped_early" if self._state.ended_early else "completed",
            {
                "model": roles,
                "best": shown,
                "steps": self._place.step,
                "epochs": self._place.epochs,
                "seconds": round(seconds, 3),
            },
        )

    def _say(self, doing: str, *, now: bool = True) -> None:
        if self._reports is not None:
            self._reports.progress(self._place, doing, now=now)

    def _note(self, text: str) -> None:
        if self._reports is not None:
            self._reports.note(text)
