"""A training killed and resumed ends as if it had never been killed: same curves, same weights, bit for bit."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import Phase as HypothesisPhase
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event as EventMessage

from tests.worker.ml.training.runs import (
    ADAM,
    OF_THE_CLOCK,
    PHASES,
    curves,
    exported,
    files,
    make,
    notes,
    run,
)
from worker.ml.training import checkpoint_files
from worker.ml.training.checkpoint_files import read_state
from worker.ml.training.events import Event, Progress
from worker.ml.training.failures import Stopped, TrainingFailed
from worker.ml.training.run_folder import EVENTS, HISTORY
from worker.ml.training.task import OptimiserSettings, Phase


class Killed(BaseException):
    """Where a SIGKILL would have struck."""


class Killer:
    """Kills at the n-th opportunity; counts them when there is none to kill at."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count, self.has_killed = at, 0, False

    def __call__(self) -> None:
        if self.has_killed or self.count == self.at:
            self.has_killed = True
            raise Killed
        self.count += 1

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with an opportunity to die before it."""

        def chancy(*arguments: Any, **more: Any) -> Any:
            self()
            return function(*arguments, **more)

        return chancy


@contextmanager
def opportunities(task: Any, killer: Killer) -> Iterator[None]:
    """Before every loss, validation, picture, new name of a file, and whenever something is forced to the disk."""
    for method in ("loss", "validate", "panels", "begin_phase", "export"):
        setattr(task, method, killer.before(getattr(task, method)))
    unlink = Path.unlink

    def unlink_while_alive(path: Path, missing_ok: bool = False) -> None:
        # A killed process does not clear up after itself.
        if not killer.has_killed:
            unlink(path, missing_ok)

    with (
        mock.patch.object(checkpoint_files.os, "fsync", killer.before(os.fsync)),
        mock.patch.object(Path, "replace", killer.before(Path.replace)),
        mock.patch.object(Path, "unlink", unlink_while_alive),
    ):
        yield


def run_killed(name: str, folder: Path, at: int | None) -> Killer:
    """Train until it is killed, or to the end."""
    task, killer = make(name), Killer(at)
    with opportunities(task, killer), suppress(Killed):
        run(task, folder, PHASES[name])
    return killer


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any, int]]:
    """Curves, exported hashes and number of opportunities of each task, trained in one go."""
    found = {}
    for name in PHASES:
        folder = tmp_path_factory.mktemp(name)
        killer = run_killed(name, folder, None)
        found[name] = curves(folder), exported(folder), killer.count
    return found


@pytest.mark.parametrize("name", PHASES)
@settings(max_examples=8, deadline=None, derandomize=True, phases=[HypothesisPhase.generate])
@given(data=st.data())
def test_a_training_killed_anywhere_ends_as_if_it_had_not_been(
    name: str,
    data: st.DataObject,
    never_killed: dict[str, tuple[Any, Any, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    expected_curves, expected_files, opportunities_of_it = never_killed[name]
    folder = tmp_path_factory.mktemp("killed")
    kills = data.draw(st.lists(st.integers(0, opportunities_of_it - 1), min_size=1, max_size=3))
    for at in kills:
        run_killed(name, folder, at)
    ended = run(name, folder, PHASES[name])
    assert curves(folder) == expected_curves
    assert exported(folder) == expected_files
    assert ended.result["steps"] == expected_curves[-1].step
    shutil.rmtree(folder)


def test_every_kind_of_opportunity_is_there_to_be_killed_at(
    never_killed: dict[str, tuple[Any, Any, int]],
) -> None:
    assert all(count > 60 for _, _, count in never_killed.values())


def test_a_training_killed_in_its_first_run_in_every_checkpoint_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run("plain", whole)
    folder = tmp_path / "killed"
    folder.mkdir()
    resumed_at = []

    def tell(event: Event) -> None:
        if isinstance(event, Progress) and event.resumed_at_step is not None:
            resumed_at.append(event.resumed_at_step)

    write = checkpoint_files._write
    # Each run dies on its third checkpoint or at its end: every run gets further than the one before.
    for _ in range(4):
        saves = iter(range(100))

        def die(*arguments: Any, saves: Iterator[int] = saves) -> Any:
            if next(saves) == 2:
                raise Killed
            return write(*arguments)

        with mock.patch.object(checkpoint_files, "_write", die), suppress(Killed):
            run("plain", folder, tell=tell)
    assert sorted(set(resumed_at)) == [10, 15]
    assert (curves(folder), exported(folder)) == (curves(whole), exported(whole))


def test_asked_to_stop_it_leaves_a_checkpoint_of_that_very_step(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run("noisy", whole, PHASES["noisy"])
    folder = tmp_path / "stopped"
    folder.mkdir()
    for stop_after in (3, 9, 2):
        asked = iter([False] * (stop_after - 1) + [True])
        with pytest.raises(Stopped) as stopped:
            run("noisy", folder, PHASES["noisy"], should_stop=lambda asked=asked: next(asked))
        newest = max((folder / "checkpoints").glob("0*.safetensors"))
        assert (
            int(newest.stem) == stopped.value.step == read_state(newest, check=True)["state"]["place"]["step"]
        )
    run("noisy", folder, PHASES["noisy"])
    assert (curves(folder), exported(folder)) == (curves(whole), exported(whole))


def test_a_stop_in_the_middle_of_a_validation_is_heeded_and_loses_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run("gan", whole, PHASES["gan"])
    folder = tmp_path / "stopped"
    folder.mkdir()
    task = make("gan")
    seen = []
    validate = task.validate
    task.validate = lambda batch, random: (seen.append(1), validate(batch, random))[1]  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        run(task, folder, PHASES["gan"], should_stop=lambda: len(seen) == 2)
    assert len(seen) == 2
    run("gan", folder, PHASES["gan"])
    assert (curves(folder), exported(folder)) == (curves(whole), exported(whole))


def test_patience_and_the_best_so_far_survive_a_stop(tmp_path: Path) -> None:
    phases = (Phase("only", 30, 4, OptimiserSettings("sgd", 0.1), patience=3),)
    whole = tmp_path / "whole"
    whole.mkdir()
    ended = run("plain", whole, phases)
    assert ended.outcome == "stopped_early"
    best = ended.result["best"]["epoch"]
    assert ended.result["epochs"] == best + 3
    folder = tmp_path / "stopped"
    folder.mkdir()
    # Again and again, until it ends: none of the runs sees three validations by itself.
    for _ in range(60):
        steps = iter([False] * 6 + [True] * 10)
        try:
            run("plain", folder, phases, should_stop=lambda steps=steps: next(steps))
        except Stopped:
            continue
        break
    again = run("plain", folder, phases)
    assert (again.outcome, again.result["best"]) == (ended.outcome, ended.result["best"])
    assert (curves(folder), exported(folder)) == (curves(whole), exported(whole))


def test_threads_that_read_samples_change_nothing(tmp_path: Path) -> None:
    results = []
    for threads in (1, 2, 7):
        folder = tmp_path / str(threads)
        folder.mkdir()
        run("noisy", folder, PHASES["noisy"], loader_threads=threads)
        results.append((curves(folder), exported(folder)))
    assert results[0] == results[1] == results[2]


def test_curves_of_a_resumed_run_hold_every_point_once_also_for_tensorboard(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run("noisy", whole, PHASES["noisy"])
    folder = tmp_path / "killed"
    folder.mkdir()
    run_killed("noisy", folder, 60)
    # As on another machine, to which nothing but checkpoints was brought.
    (folder / HISTORY).unlink()
    (folder / EVENTS).unlink()
    run("noisy", folder, PHASES["noisy"])
    assert scalars(folder / EVENTS) == scalars(whole / EVENTS)
    in_csv = {(point.step, name): value for point in curves(folder) for name, value in point.values.items()}
    assert {(step, name): pytest.approx(value) for step, name, value in scalars(folder / EVENTS)} == in_csv


def scalars(file: Path) -> list[tuple[int, str, float]]:
    """All points of an event file but those that depend on the clock, in their order."""
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = EventMessage.FromString(content[12 : 12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        content = content[12 + length + 4 :]
    return [point for point in found if point[1] not in OF_THE_CLOCK]


def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_is_used(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    run("plain", whole)
    for number, damage in enumerate((cut_off, change_a_byte, empty)):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        newest = folder / "checkpoints" / "00000015.safetensors"
        newest.unlink()
        shutil.copyfile(
            whole / "checkpoints" / newest.name, newest
        )  # apart from the best, which is the same file
        damage(newest)
        events: list[Event] = []
        run("plain", folder, tell=events.append)
        assert [text for text in notes(events, "warning") if newest.name in text]
        assert {event.resumed_at_step for event in events if isinstance(event, Progress)} == {None, 10}
        assert (curves(folder), exported(folder)) == (curves(whole), exported(whole))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_with_every_checkpoint_damaged_it_starts_over(tmp_path: Path) -> None:
    run("plain", tmp_path)
    before = curves(tmp_path), exported(tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        cut_off(path)
    events: list[Event] = []
    run("plain", tmp_path, tell=events.append)
    assert len(notes(events, "warning")) == 3
    assert (curves(tmp_path), exported(tmp_path)) == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"dataset_sha256": "other"}, "version of the dataset"),
        ({"spec_sha256": "other"}, "recipe"),
        ({"seed": 4}, "seed"),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    change: dict[str, Any], word: str, tmp_path: Path
) -> None:
    run("plain", tmp_path)
    with pytest.raises(TrainingFailed, match=word) as failed:
        run("plain", tmp_path, **change)
    assert failed.value.code == "checkpoint_mismatch"
    with pytest.raises(TrainingFailed) as failed:
        run(make("contrastive"), tmp_path, (Phase("only", 3, 4, ADAM),))
    assert failed.value.code == "checkpoint_mismatch"


def test_the_last_two_checkpoints_and_the_best_are_kept_and_others_said_gone(tmp_path: Path) -> None:
    events: list[Event] = []
    phases = (Phase("only", 6, 4, OptimiserSettings("sgd", 1.0)),)
    run("plain", tmp_path, phases, tell=events.append)
    best = min(
        (point for point in curves(tmp_path) if "validation/total" in point.values),
        key=lambda point: point.values["validation/total"],
    )
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"00000025.safetensors", "00000030.safetensors", "best.safetensors"}
    assert read_state(tmp_path / "checkpoints/best.safetensors")["state"]["place"]["step"] == best.step
    there = {event.name for event in files(events, "checkpoint") if not event.gone}
    gone = {event.name for event in files(events, "checkpoint") if event.gone}
    assert there - gone == {f"checkpoints/{name}" for name in kept if name[0] == "0"}
