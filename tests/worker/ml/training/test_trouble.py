"""What ends a training, and what it survives: memory, numbers that are none, full disks."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from tests.worker.ml.training.runs import ADAM, curves, exported, make, notes, run
from tests.worker.ml.training.tiny_tasks import Contrastive, Noisy, Plain
from worker.ml.training import checkpoint_files
from worker.ml.training.checkpoint_files import read_state
from worker.ml.training.failures import Stopped, TrainingFailed
from worker.ml.training.task import Batch, Phase

PHASES = (Phase("only", 3, 8, ADAM),)


def full_above(most: int, failure: Callable[[], Exception] = torch.OutOfMemoryError) -> Any:
    """Memory that holds so many samples."""

    def before_loss(batch: Batch) -> None:
        if len(batch["x"]) > most:
            raise failure()

    return before_loss


def cpu_failure() -> Exception:
    return RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


@pytest.mark.parametrize("failure", [torch.OutOfMemoryError, MemoryError, cpu_failure])
def test_out_of_memory_it_computes_less_at_once_and_learns_the_same(
    failure: Callable[[], Exception], tmp_path: Path
) -> None:
    (tmp_path / "roomy").mkdir()
    (tmp_path / "tight").mkdir()
    run("plain", tmp_path / "roomy", PHASES)
    task, events = make("plain"), []
    assert isinstance(task, Plain)
    task.before_loss = full_above(3, failure)
    run(task, tmp_path / "tight", PHASES, tell=events.append)
    for roomy, tight in zip(curves(tmp_path / "roomy"), curves(tmp_path / "tight"), strict=True):
        assert tight.values == pytest.approx(roomy.values, rel=1e-4)
    said = notes(events, "warning")
    assert ["going on with 4" in said[0], "going on with 2" in said[1], len(said)] == [True, True, 2]
    newest = max((tmp_path / "tight" / "checkpoints").glob("0*.safetensors"))
    assert read_state(newest)["state"]["micro"] == 2


def test_a_resumed_run_knows_how_much_memory_holds(tmp_path: Path) -> None:
    task = make("plain")
    assert isinstance(task, Plain)
    task.before_loss = full_above(4)
    asked = iter([False, True])
    with pytest.raises(Stopped):
        run(task, tmp_path, PHASES, should_stop=lambda: next(asked))
    task, events, sizes = make("plain"), [], set()
    assert isinstance(task, Plain)
    task.before_loss = lambda batch: sizes.add(len(batch["x"]))
    run(task, tmp_path, PHASES, tell=events.append)
    assert sizes == {4}
    assert not notes(events, "warning")


def test_what_a_failed_attempt_did_to_statistics_is_undone(tmp_path: Path) -> None:
    task = make("noisy")
    assert isinstance(task, Noisy)
    seen, loss, memory = [], task.loss, full_above(4)

    def fail_late(player: str, batch: Batch, random: torch.Generator) -> Any:
        seen.append(int(task.network[1].num_batches_tracked))  # type: ignore[union-attr]
        terms = loss(player, batch, random)
        memory(batch)
        return terms

    task.loss = fail_late  # type: ignore[method-assign]
    run(task, tmp_path, (Phase("only", 1, 8, ADAM, max_steps=1),))
    assert seen == [0, 0, 1]


def test_a_loss_that_compares_across_the_batch_says_that_it_compares_less(tmp_path: Path) -> None:
    task, events = make("contrastive"), []
    assert isinstance(task, Contrastive)
    task.before_loss = full_above(4)
    run(task, tmp_path, PHASES, tell=events.append)
    assert "compares fewer samples" in notes(events, "warning")[0]


def test_a_single_sample_that_does_not_fit_ends_it(tmp_path: Path) -> None:
    task = make("plain")
    assert isinstance(task, Plain)
    task.before_loss = full_above(0)
    with pytest.raises(TrainingFailed, match="not enough memory for 1 sample at once") as failed:
        run(task, tmp_path, PHASES)
    assert failed.value.code == "out_of_memory"


def test_a_validation_that_does_not_fit_is_measured_in_parts(tmp_path: Path) -> None:
    (tmp_path / "roomy").mkdir()
    run("plain", tmp_path / "roomy", PHASES)
    task, events = make("plain"), []
    validate, memory = task.validate, full_above(3)
    task.validate = lambda batch, random: (memory(batch), validate(batch, random))[1]  # type: ignore[method-assign]
    run(task, tmp_path, PHASES, tell=events.append)
    totals = [point.values.get("validation/total") for point in curves(tmp_path)]
    assert totals == pytest.approx(
        [point.values.get("validation/total") for point in curves(tmp_path / "roomy")]
    )
    assert "validating 8 samples" in notes(events, "warning")[0]


@pytest.mark.parametrize(("value", "shown"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_a_loss_that_is_no_number_ends_it_naming_step_and_term(
    value: float, shown: str, tmp_path: Path
) -> None:
    task, count = make("plain"), iter(range(100))
    assert isinstance(task, Plain)
    loss = task.loss

    def broken(player: str, batch: Batch, random: torch.Generator) -> Any:
        terms = loss(player, batch, random)
        return type(terms)(terms.total * value, terms.parts) if next(count) == 5 else terms

    task.loss = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingFailed, match=f"At step 6, train/total is {shown}") as failed:
        run(task, tmp_path, PHASES)
    assert failed.value.code == "not_finite"
    newest = max((tmp_path / "checkpoints").glob("0*.safetensors"))
    tensors, state = checkpoint_files.read_checkpoint(newest)
    assert state["state"]["place"]["step"] == 4
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    run("plain", tmp_path, PHASES)


def test_gradients_that_are_no_numbers_end_it_as_well(tmp_path: Path) -> None:
    task, count = make("plain"), iter(range(100))
    assert isinstance(task, Plain)
    loss = task.loss

    def broken(player: str, batch: Batch, random: torch.Generator) -> Any:
        terms = loss(player, batch, random)
        # The root has no slope at zero: a value that is fine with a gradient that is not.
        nothing = (task.network[0].weight * 0).sum().sqrt()  # type: ignore[union-attr, operator]
        return type(terms)(terms.total + nothing) if next(count) == 2 else terms

    task.loss = broken  # type: ignore[method-assign]
    with pytest.raises(TrainingFailed, match="At step 3, train/gradient_norm is nan"):
        run(task, tmp_path, PHASES)


def test_a_validation_that_is_no_number_ends_it_and_other_metrics_may_be_missing(tmp_path: Path) -> None:
    task = make("plain")
    task.validate = lambda batch, random: {"total": 1.0, "other": float("nan")}  # type: ignore[method-assign]
    run(task, tmp_path / "fine", PHASES)
    assert not [point for point in curves(tmp_path / "fine") if "validation/other" in point.values]
    task.validate = lambda batch, random: {"total": float("nan")}  # type: ignore[method-assign]
    with pytest.raises(TrainingFailed, match="Validated after step 2, total is nan"):
        run(task, tmp_path / "broken", PHASES)


def test_a_full_disk_ends_it_with_the_last_checkpoint_whole(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    run("plain", tmp_path / "whole", PHASES)
    folder, saves, write = tmp_path / "full", iter(range(100)), checkpoint_files._write

    def full(file: Any, *arguments: Any) -> None:
        if next(saves) == 1:
            file.write(b"as much as there was room for")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, *arguments)

    folder.mkdir()
    with (
        mock.patch.object(checkpoint_files, "_write", full),
        pytest.raises(TrainingFailed, match="no room left") as failed,
    ):
        run("plain", folder, PHASES)
    assert failed.value.code == "disk_full"
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {
        "00000002.safetensors",
        "best.safetensors",
    }
    run("plain", folder, PHASES)
    assert (curves(folder), exported(folder)) == (curves(tmp_path / "whole"), exported(tmp_path / "whole"))


def test_a_file_that_may_not_grow_is_a_full_disk_and_nothing_torn_is_left(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(TrainingFailed) as failed:
            run("noisy", tmp_path, PHASES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.value.code == "disk_full"
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_samples_that_cannot_be_read_end_it_with_what_the_source_said(tmp_path: Path) -> None:
    class Lost(Plain):
        def sources(self, phase: str, epoch: int) -> Any:
            source, validation = super().sources(phase, epoch)
            read = source.read

            def fail(number: int, random: Any) -> Any:
                if epoch == 1 and number == 7:
                    raise FileNotFoundError(errno.ENOENT, "gone", "/data/shards/00000.tar")
                return read(number, random)

            source.read = fail  # type: ignore[method-assign]
            return source, validation

    with pytest.raises(FileNotFoundError, match="gone"):
        run(Lost(), tmp_path, PHASES)


def test_samples_of_different_shapes_are_named(tmp_path: Path) -> None:
    class Uneven(Plain):
        def sources(self, phase: str, epoch: int) -> Any:
            source, validation = super().sources(phase, epoch)
            read = source.read

            def cut(number: int, random: Any) -> Any:
                sample = read(number, random)
                return {**sample, "x": sample["x"][: 6 - (number == 4)]}

            source.read = cut  # type: ignore[method-assign]
            return source, validation

    with pytest.raises(ValueError, match=r"x of sample \d+ is float32 \[\d\], and of others float32 \[\d\]"):
        run(Uneven(), tmp_path, PHASES)
