"""Fewer bits, and algorithms that give the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.ml.training.runs import ADAM, PHASES, curves, exported, make, run
from tests.worker.ml.training.tiny_tasks import Plain
from worker.ml.training.checkpoint_files import read_checkpoint
from worker.ml.training.failures import Stopped, TrainingFailed
from worker.ml.training.precision import choose_bits, determinism
from worker.ml.training.task import Batch, Phase

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_products_are_made_in_fewer_bits_and_weights_kept_in_32(precision: Any, tmp_path: Path) -> None:
    task, kinds = make("plain"), set()
    assert isinstance(task, Plain)
    loss, network = task.loss, task.network

    def look(player: str, batch: Batch, random: torch.Generator) -> Any:
        kinds.add(network(batch["x"]).dtype)
        return loss(player, batch, random)

    task.loss = look  # type: ignore[method-assign]
    run(task, tmp_path, (Phase("only", 4, 4, ADAM),), precision=precision)
    assert kinds == {torch.bfloat16 if precision == "bf16" else torch.float16}
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    totals = [
        point.values["validation/total"] for point in curves(tmp_path) if "validation/total" in point.values
    ]
    assert totals[-1] < totals[0]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_with_fewer_bits_resumes_bit_for_bit(precision: Any, tmp_path: Path) -> None:
    phases = (Phase("only", 3, 4, ADAM, clip_norm=0.5),)
    (tmp_path / "whole").mkdir()
    run("noisy", tmp_path / "whole", phases, precision=precision)
    (tmp_path / "stopped").mkdir()
    asked = iter([False] * 6 + [True])
    with pytest.raises(Stopped):
        run("noisy", tmp_path / "stopped", phases, precision=precision, should_stop=lambda: next(asked))
    run("noisy", tmp_path / "stopped", phases, precision=precision)
    assert curves(tmp_path / "stopped") == curves(tmp_path / "whole")
    assert exported(tmp_path / "stopped") == exported(tmp_path / "whole")


def test_the_scaler_skips_steps_that_overflow_and_gives_up_when_all_do(tmp_path: Path) -> None:
    task, count = make("plain"), iter(range(10_000))
    assert isinstance(task, Plain)
    loss = task.loss

    def overflow(player: str, batch: Batch, random: torch.Generator) -> Any:
        terms = loss(player, batch, random)
        infinite = (task.network[0].weight * 0).sum().sqrt()  # type: ignore[union-attr, operator]
        return type(terms)(terms.total + infinite) if next(count) in bad else terms

    task.loss = overflow  # type: ignore[method-assign]
    bad: Any = {1, 2}
    run(task, tmp_path / "some", (Phase("only", 1, 4, ADAM),), precision="fp16")
    newest = tmp_path / "some" / "checkpoints" / "00000005.safetensors"
    assert read_checkpoint(newest)[1]["scalers"]["net"]["scale"] == 2.0**16 / 4
    bad = range(10_000)
    with pytest.raises(TrainingFailed, match="gradient_norm is nan") as failed:
        run(task, tmp_path / "all", (Phase("only", 20, 4, ADAM),), precision="fp16")
    assert failed.value.code == "not_finite"


def test_auto_is_fp32_on_a_cpu_whatever_it_can_do() -> None:
    assert choose_bits("auto", CPU) == "fp32"
    assert choose_bits("bf16", CPU) == "bf16"


def test_going_on_with_other_bits_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("plain", tmp_path, precision="auto")
    monkeypatch.setattr("worker.ml.training.engine.choose_bits", lambda precision, device: "bf16")
    events: list[Any] = []
    run("plain", tmp_path, precision="auto", tell=events.append)
    assert [event for event in events if "goes on in bf16" in getattr(event, "text", "")]


def test_deterministic_algorithms_are_asked_for_and_left_as_they_were() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with determinism(True, CPU):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        # Operations that networks of ours need run under it.
        picture = torch.rand(1, 2, 8, 8, requires_grad=True)
        grown = torch.nn.functional.interpolate(picture, scale_factor=2.0, mode="bilinear")
        pooled = torch.nn.functional.adaptive_avg_pool2d(grown, 3)
        warped = torch.nn.functional.grid_sample(grown, torch.rand(1, 4, 4, 2) * 2 - 1, align_corners=False)
        (pooled.sum() + warped.sum()).backward()
        torch.zeros(4).index_add_(0, torch.tensor([0, 0]), torch.ones(2)).cumsum(0)
        torch.rand(5)[torch.tensor([1, 1])].scatter_add(0, torch.tensor([0]), torch.ones(1))
    assert not torch.are_deterministic_algorithms_enabled()
    with determinism(False, CPU):
        assert not torch.are_deterministic_algorithms_enabled()


def test_without_it_a_training_runs_as_well(tmp_path: Path) -> None:
    run("noisy", tmp_path, PHASES["noisy"], deterministic=False)
    assert exported(tmp_path)
