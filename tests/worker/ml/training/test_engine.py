"""What the loop does beside resuming: phases, learning rates, averages, the best one, early ends, curves and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.worker.ml.training.runs import ADAM, PHASES, curves, files, make, notes, run
from tests.worker.ml.training.tiny_tasks import Noisy, Plain, TwoPhases
from worker.ml.training.averages import Average
from worker.ml.training.events import Ended, Event, File, Metrics, Progress
from worker.ml.training.failures import TrainingFailed
from worker.ml.training.optimisers import learning_rate
from worker.ml.training.task import Batch, OptimiserSettings, Phase, ScheduleSettings, Terms


def weights(folder: Path, player: str = "net") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model" / player / "model.safetensors")
    return found


def series(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.values[name]) for point in curves(folder) if name in point.values]


def test_learning_rates_warm_up_and_fall_as_their_schedules_say() -> None:
    def rates(kind: Any, **more: Any) -> list[float]:
        schedule = ScheduleSettings(kind, warmup_steps=3, **more)
        return [learning_rate(OptimiserSettings(learning_rate=1.0), schedule, step, 13) for step in range(13)]

    assert rates("constant") == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 10)
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * share / 9)) / 2 for share in range(10)]
    assert rates("cosine", final=0.1)[3:] == pytest.approx(cosine)
    assert rates("exponential", final=0.01)[3:] == pytest.approx([0.01 ** (n / 9) for n in range(10)])
    assert rates("steps", every_steps=5, factor=0.5)[3:] == pytest.approx([1, 1] + [0.5] * 5 + [0.25] * 3)


def test_the_curves_show_the_learning_rate_that_was_used(tmp_path: Path) -> None:
    phase = PHASES["noisy"][0]
    run("noisy", tmp_path, (phase,), log_steps=1)
    shown = dict(series(tmp_path, "learning_rate"))
    assert shown == {n + 1: learning_rate(phase.optimiser, phase.schedule, n, 16) for n in range(16)}


def test_a_plain_training_is_what_a_loop_by_hand_makes(tmp_path: Path) -> None:
    run("plain", tmp_path, (Phase("only", 2, 4, ADAM, clip_norm=0.2),), log_steps=1)
    from worker.ml.training import seeds

    task = make("plain")
    assert isinstance(task, Plain)
    optimiser = torch.optim.Adam(task.network.parameters(), ADAM.learning_rate)
    source, losses = task.sources("only", 0)[0], []
    for epoch in range(2):
        order = seeds.Order(3, 0, epoch, 22).stretch(0, 22)
        assert sorted(order) == list(range(22))
        for first in range(0, 20, 4):
            samples = [source.read(int(n), np.random.default_rng()) for n in order[first : first + 4]]
            batch = {name: torch.from_numpy(np.stack([s[name] for s in samples])) for name in samples[0]}
            optimiser.zero_grad()
            loss = task.loss("net", batch, torch.Generator()).total
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(task.network.parameters(), 0.2)
            optimiser.step()
            losses.append(float(loss.detach()))
    assert [value for _, value in series(tmp_path, "train/total")] == pytest.approx(losses, rel=1e-5)
    for name, value in task.network.state_dict().items():
        torch.testing.assert_close(weights(tmp_path)[name], value)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimiser_learns(name: Any, tmp_path: Path) -> None:
    run("plain", tmp_path, (Phase("only", 6, 4, OptimiserSettings(name, 0.02, weight_decay=1e-3)),))
    totals = [value for _, value in series(tmp_path, "validation/total")]
    assert totals[-1] < 0.8 * totals[0]


def test_validation_means_are_weighed_by_the_sizes_of_batches(tmp_path: Path) -> None:
    task = make("plain")
    assert isinstance(task, Plain)
    task.validation = 9  # batches of 4, 4 and 1
    run(task, tmp_path, (Phase("only", 1, 4, OptimiserSettings("sgd", 1e-9, (0.0, 0.0))),))
    source = task.sources("only", 0)[1]
    assert source is not None
    errors = []
    for number in range(9):
        sample = source.read(number, np.random.default_rng())
        drawn = task.network(torch.from_numpy(sample["x"])).detach().numpy()
        errors.append(np.square(drawn - sample["y"]).mean())
    assert series(tmp_path, "validation/total") == [(5, pytest.approx(np.mean(errors), rel=1e-5))]


def test_a_phase_ends_early_and_its_model_is_the_best_one(tmp_path: Path) -> None:
    task = _Fated([5.0, 3.0, 4.0, 3.5, 9.0, 1.0])
    events: list[Event] = []
    ended = run(task, tmp_path, (Phase("only", 6, 4, ADAM, patience=2),), tell=events.append)
    assert ended.outcome == "stopped_early"
    assert ended.result["best"] == {"step": 10, "epoch": 2, "metric": "total", "value": 3.0}
    assert (ended.result["steps"], ended.result["epochs"]) == (20, 4)
    assert [text for text in notes(events) if "ends early" in text]
    two_epochs = tmp_path / "two"
    two_epochs.mkdir()
    run(_Fated([5.0, 3.0]), two_epochs, (Phase("only", 2, 4, ADAM),))
    assert all(torch.equal(weights(tmp_path)[name], value) for name, value in weights(two_epochs).items())


def test_every_phase_has_a_best_of_its_own_and_the_next_starts_from_it(tmp_path: Path) -> None:
    # The head's best is better than anything that follows; still the last phase has its best, which is the model.
    task = _Fated([0.5, 0.1, 7.0, 6.0, 8.0])
    events: list[Event] = []
    phases = (Phase("head", 3, 4, ADAM), Phase("rest", 2, 4, OptimiserSettings("sgd", 1e-9)))
    ended = run(task, tmp_path, phases, tell=events.append)
    assert ended.result["best"] == {"step": 20, "epoch": 4, "metric": "total", "value": 6.0}
    alone = tmp_path / "alone"
    alone.mkdir()
    run(_Fated([0.5, 0.1]), alone, (Phase("head", 2, 4, ADAM),))
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(tmp_path)[name], value, rtol=0, atol=1e-6)
    assert [text for text in notes(events) if "rest starts from step 10" in text]


class _Fated(Plain):
    """Its validations come out as was said before, whatever it learnt."""

    def __init__(self, totals: list[float]) -> None:
        from worker.ml.training import seeds

        seeds.seed_weights(3)
        super().__init__(validation=4)
        self._totals = iter(totals)

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        return {"total": next(self._totals)}


def test_without_a_measure_of_the_best_the_last_weights_are_exported(tmp_path: Path) -> None:
    task = make("plain")
    task.best_by = None
    ended = run(task, tmp_path, (Phase("only", 2, 4, ADAM, patience=1),))
    assert ended.result["best"] is None
    assert not (tmp_path / "checkpoints" / "best.safetensors").exists()
    assert isinstance(task, Plain)
    assert all(
        torch.equal(weights(tmp_path)[name], value) for name, value in task.network.state_dict().items()
    )


def test_averages_follow_weights_and_are_what_is_validated_and_exported(tmp_path: Path) -> None:
    task, seen = make("noisy"), []
    assert isinstance(task, Noisy)
    validate = task.validate

    def remember(batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        seen.append(task.network[0].weight.detach().clone())
        assert not task.network.training
        return validate(batch, random)

    task.validate = remember  # type: ignore[method-assign]
    run(task, tmp_path, (Phase("only", 1, 4, ADAM),))
    assert torch.equal(weights(tmp_path)["0.weight"], seen[-1])
    assert not torch.equal(weights(tmp_path)["0.weight"], task.network[0].weight)


def test_an_average_is_the_weighed_sum_of_the_weights_so_far() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    average, expected = Average(network, 0.5), float(network.weight.detach())
    for step in range(20):
        network.weight.data.fill_(float(step))
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.tensors["weight"]) == pytest.approx(expected, rel=1e-5)
    with average.in_place():
        assert float(network.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(network.weight.detach()) == 19.0


def test_what_a_phase_freezes_stays_as_it_is_statistics_included(tmp_path: Path) -> None:
    task = make("two_phases")
    assert isinstance(task, TwoPhases)
    before = {name: value.clone() for name, value in task.trunk.state_dict().items()}
    run(task, tmp_path, (Phase("head", 2, 4, ADAM),))
    assert all(torch.equal(value, before[name]) for name, value in task.trunk.state_dict().items())
    assert task.trunk[1].training is False


def test_a_phase_in_which_everything_is_frozen_is_refused(tmp_path: Path) -> None:
    task = make("plain")
    assert isinstance(task, Plain)
    task.network.requires_grad_(False)
    with pytest.raises(TrainingFailed, match="everything is frozen") as failed:
        run(task, tmp_path)
    assert failed.value.code == "invalid_recipe"


def test_a_player_updated_twice_in_a_step_sees_two_batches_and_the_other_the_last(tmp_path: Path) -> None:
    task = make("gan")
    seen: list[tuple[str, tuple[int, ...]]] = []
    loss = task.loss

    def remember(player: str, batch: Batch, random: torch.Generator) -> Terms:
        seen.append((player, tuple(batch["number"].tolist())))
        return loss(player, batch, random)

    task.loss = remember  # type: ignore[method-assign]
    run(task, tmp_path, (Phase("only", 1, 4, ADAM),))
    assert [player for player, _ in seen] == ["critic", "critic", "generator"] * 2
    for step in (seen[:3], seen[3:]):
        assert step[1][1] == step[2][1]
    drawn = [number for player, batch in seen if player == "critic" for number in batch]
    assert len(set(drawn)) == len(drawn) == 16


def test_a_dataset_smaller_than_a_batch_is_trained_on_and_said(tmp_path: Path) -> None:
    task, events = make("plain"), []
    assert isinstance(task, Plain)
    task.count = 3
    ended = run(task, tmp_path, (Phase("only", 2, 8, ADAM),), tell=events.append)
    assert ended.result["steps"] == 2
    assert [text for text in notes(events) if "only 3 training samples for a batch of 8" in text]
    task.count = 0
    with pytest.raises(TrainingFailed, match="0 training samples"):
        run(task, tmp_path / "none", (Phase("only", 2, 8, ADAM),))


def test_a_training_without_validation_samples_ends_with_its_last_weights(tmp_path: Path) -> None:
    task = make("plain")
    assert isinstance(task, Plain)
    task.validation = 0
    ended = run(task, tmp_path, (Phase("only", 2, 4, ADAM),))
    assert ended.result["best"] is None
    assert series(tmp_path, "validation/total") == []


def test_max_steps_end_a_phase_in_the_middle_of_an_epoch_which_is_still_validated(tmp_path: Path) -> None:
    ended = run("plain", tmp_path, (Phase("only", 9, 4, ADAM, max_steps=8),))
    assert (ended.result["steps"], ended.result["epochs"]) == (8, 2)
    assert [step for step, _ in series(tmp_path, "validation/total")] == [5, 8]


def test_validations_come_every_so_many_epochs_and_at_the_end(tmp_path: Path) -> None:
    run("plain", tmp_path, (Phase("only", 5, 4, ADAM),), validate_epochs=2)
    assert [step for step, _ in series(tmp_path, "validation/total")] == [10, 20, 25]


def test_events_tell_files_that_are_whole_progress_and_the_same_numbers_as_the_history(
    tmp_path: Path,
) -> None:
    events: list[Event] = []

    def tell(event: Event) -> None:
        events.append(event)
        if isinstance(event, File) and not event.gone:
            assert (tmp_path / event.name).stat().st_size > 0

    run("noisy", tmp_path, PHASES["noisy"], tell=tell)
    told = {
        (event.step, name): value
        for event in events
        if isinstance(event, Metrics)
        for name, value in event.values.items()
    }
    kept = {(point.step, name): value for point in curves(tmp_path) for name, value in point.values.items()}
    assert kept.items() <= told.items()
    assert {name for _, name in told.keys() - kept.keys()} == {
        "samples_per_second",
        "waiting_for_samples",
        "memory_bytes",
    }
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[0].doing == "loading"
    assert (progress[-1].step, progress[-1].steps, progress[-1].epoch) == (16, 16, 4)
    assert progress[-1].memory_bytes and progress[-1].samples_per_second
    assert {event.name for event in files(events, "model")} == {"model/net/model.safetensors"}
    assert files(events, "history") and files(events, "events")


def test_pictures_of_samples_are_a_grid_of_targets_and_drawings(tmp_path: Path) -> None:
    run("noisy", tmp_path, PHASES["noisy"], sample_pictures=3)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == [f"validation-epoch-0000{epoch}.png" for epoch in (1, 2, 3, 4)]
    with Image.open(tmp_path / "samples" / names[0]) as image:
        pixels = np.asarray(image.convert("L"))
        assert image.info["DigitalSourceType"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert (pixels == 200).sum() > 3 * 90 * 100
    assert (pixels == 100).sum() > 3 * 90 * 100


def test_a_finished_training_run_again_exports_the_same(tmp_path: Path) -> None:
    first = run("plain", tmp_path)
    before = weights(tmp_path)
    again = run("plain", tmp_path)
    assert isinstance(again, Ended)
    assert {**again.result, "seconds": 0} == {**first.result, "seconds": 0}
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path).items())
