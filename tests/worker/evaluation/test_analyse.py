"""Analyses: what they draw is what they say, and models without noise are told what does not apply."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.worker.evaluation.people import PEOPLE, ask, kept_signals
from worker.analyse import main
from worker.evaluation.analyses import Analyst, spherical_path, straight_path
from worker.evaluation.request import InvalidRequest
from worker.evaluation.sheets import GAP, MARGIN, grid_png
from worker.evaluation.subject import load_subject
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.model_folders import find_model
from worker.ml.networks.conditional_generator import ConditionalGenerator
from worker.ml.training.events import Ended, File, read_event

ALL = ("same_noise", "same_voice", "voice_path", "noise_path", "sensitivity", "correlation")


def analysed(dataset: Path, *folders: Path, analyses: Any = ALL, **how: Any) -> Any:
    with PreparedDataset.open(dataset) as opened:
        settings = {"voices": 5, "noises": 3, "seed": 0} | how
        return Analyst(load_subject(folders, "cpu"), opened, "test", **settings).carry_out(analyses)


def tiles(png: bytes, tile: int = 112) -> np.ndarray:
    """The faces of a grid, `[rows, columns, tile, tile, 3]`."""
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    rows = (sheet.shape[0] - 2 * MARGIN + GAP) // (tile + GAP)
    columns = (sheet.shape[1] - 2 * MARGIN + GAP) // (tile + GAP)
    places = [MARGIN + number * (tile + GAP) for number in range(max(rows, columns))]
    return np.array([[sheet[y : y + tile, x : x + tile] for x in places[:columns]] for y in places[:rows]])


def test_a_model_with_noise_gets_all_six_analyses_and_a_whole_report(
    dataset: Path, networks: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {name: networks[name] for name in ("matching_speech_encoder", "conditional_generator")}
    asked = {"kind": "analyse", "model": "+".join(models), "voices": 4, "noises": 2}
    run = ask(tmp_path / "run", dataset, models, **asked)
    with kept_signals():
        assert main([str(run)]) == 0
    events = [read_event(line) for line in capsys.readouterr().out.splitlines()]
    assert isinstance(events[-1], Ended)
    numbers = events[-1].result["analyses"]
    assert numbers["sensitivity.pixels"]["people"] == 4 and numbers["sensitivity.pixels"]["noises"] == 2
    told = json.loads((run / "report" / "report.json").read_text())
    # Untrained, it may draw one face for all voices; then there is nothing to correlate, which is said.
    assert "correlation.pixels" in numbers.keys() | told["left_out"].keys()
    grids = {chart["name"] for chart in told["charts"]}
    assert {f"{name}.png" for name in ALL[:4]} <= grids
    assert {event.name for event in events if isinstance(event, File)} == {
        f"report/{path.name}" for path in (run / "report").iterdir()
    }
    assert "AI-generated" in (run / "report" / "report.html").read_text()
    assert any("A face is found in 0 of" in note for note in told["notes"]), (
        "a network of noise draws no faces"
    )


def test_down_a_column_the_noise_is_the_same_and_along_a_row_the_voice(
    dataset: Path, networks: dict[str, Path]
) -> None:
    folders = networks["matching_speech_encoder"], networks["conditional_generator"]
    result = analysed(dataset, *folders, analyses=("same_noise",))
    grid = tiles(result.charts[0].light)
    assert grid.shape[:2] == (5, 3)
    subject = load_subject(folders, "cpu")
    with PreparedDataset.open(dataset) as opened:
        voices = [opened.of(person.id, "voice")[0] for person in opened.split("test")][:5]
        embeddings = subject.embed(opened, voices)
    noise = subject.noise([0, 1, 2])
    assert noise is not None
    face = subject.paint(embeddings[2:3], noise[1:2]).pictures
    wanted = tiles(grid_png([[face[0]]], tile=112))[0, 0]
    assert np.abs(grid[2, 1].astype(int) - wanted).max() <= 1


def test_a_model_without_noise_is_told_what_does_not_apply_and_shows_the_rest(dataset: Path) -> None:
    result = analysed(dataset, find_model("default"), voices=PEOPLE)
    assert result.not_applicable.keys() == {"same_noise", "same_voice", "noise_path", "sensitivity"}
    assert all("takes no noise" in reason for reason in result.not_applicable.values())
    assert [chart.name for chart in result.charts] == [
        "same_noise.png",
        "voice_path.png",
        "correlation.pixels.png",
        "correlation.png",
    ]
    assert -1 <= result.numbers["correlation"]["value"] <= 1
    assert 0 < result.numbers["correlation"]["p_value"] <= 1
    path = tiles(result.charts[1].light)
    assert path.shape[:2] == (4, 8)
    # A row begins with the voice that the row above ends with.
    assert np.abs(path[0, -1].astype(int) - path[1, 0]).max() <= 1


def test_the_same_request_draws_the_same_pictures(dataset: Path, networks: dict[str, Path]) -> None:
    folders = networks["matching_speech_encoder"], networks["conditional_generator"]
    one, two = (analysed(dataset, *folders, analyses=ALL[1:4]) for _ in range(2))
    assert [chart.light for chart in one.charts] == [chart.light for chart in two.charts]
    other = analysed(dataset, *folders, analyses=ALL[1:4], seed=1)
    assert one.charts[0].light != other.charts[0].light


def test_an_encoder_alone_cannot_be_analysed(dataset: Path, networks: dict[str, Path]) -> None:
    with pytest.raises(InvalidRequest, match="draws nothing"):
        analysed(dataset, networks["matching_speech_encoder"])


def test_a_path_between_voices_is_straight_and_keeps_their_length() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    path = straight_path(first, second, 3)
    assert path.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert path[1].tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert straight_path(first, 3 * second, 3)[1].norm().item() == pytest.approx(2)


def test_a_path_between_noises_goes_along_the_sphere_in_even_steps() -> None:
    path = spherical_path(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), 4)
    assert path.norm(dim=1).tolist() == pytest.approx([2, 2, 2, 2])
    angles = torch.rad2deg(torch.atan2(path[:, 1], path[:, 0]))
    assert angles.tolist() == pytest.approx([0, 30, 60, 90], abs=1e-3)
    same = torch.tensor([1.0, 1.0])
    assert torch.equal(spherical_path(same, same, 2), torch.stack([same, same]))


def test_a_seed_is_noise_that_can_also_be_given(networks: dict[str, Path]) -> None:
    generator = ConditionalGenerator.from_pretrained(networks["conditional_generator"], "cpu")
    embeddings = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    noise = generator.noise(1, torch.Generator().manual_seed(5))
    given = generator.decode_with_noise(embeddings, noise.expand(3, -1)).pictures
    assert (generator.decode(embeddings, seed=5).pictures == given).all()
    other = generator.decode_with_noise(embeddings, torch.zeros(3, 8)).pictures
    assert (other != given).any()
