"""The AST's mean and deviation are those of all frames together, as the network will see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from worker.ml.preparation.statistics import FrameSums, without_padding
from worker.ml.preparation.voices import FILTER_BANK, VoiceFeatures, normalised_ast


def recording(seconds: float, level: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, level, round(seconds * 16_000))
    swing = 0.05 + np.abs(np.sin(np.arange(len(noise)) / 9_000))
    return (noise * swing).astype(np.float32)


@pytest.fixture(scope="module")
def features() -> list[np.ndarray]:
    voice = VoiceFeatures(("ast",), 6.0, torch.device("cpu"))
    clips = [recording(1.0, 0.1, 0), recording(4.0, 0.01, 1), recording(12.0, 0.3, 2)]
    return [row["ast"] for row in voice.of(clips)]


def test_features_and_statistics_share_one_geometry_without_padding(features: list[np.ndarray]) -> None:
    for row in features:
        assert row.shape == (1024, 128) == (FILTER_BANK.frames, FILTER_BANK.mel_bands)
        assert len(without_padding(row)) == 1024  # however short the recording was


def test_pooled_sums_give_the_mean_and_deviation_of_everything(features: list[np.ndarray]) -> None:
    sums = FrameSums.pooled(FrameSums.of(row) for row in features)
    everything = np.concatenate(features).astype(np.float64)
    assert sums.frames == 3 * 1024
    assert sums.mean == pytest.approx(everything.mean(), rel=1e-9)
    assert sums.std == pytest.approx(everything.std(), rel=1e-9)


def test_the_deviation_is_not_the_average_of_each_files_own() -> None:
    quiet, loud = np.full((10, 4), -9.0, np.float32), np.full((10, 4), -1.0, np.float32)
    sums = FrameSums.pooled([FrameSums.of(quiet), FrameSums.of(loud)])
    assert (sums.mean, sums.std) == (-5.0, 4.0)  # each file alone deviates by 0


def test_long_files_count_by_their_frames() -> None:
    one, three = np.full((10, 4), 0.0, np.float32), np.full((30, 4), 4.0, np.float32)
    assert FrameSums.pooled([FrameSums.of(one), FrameSums.of(three)]).mean == 3.0


def test_normalised_features_have_mean_0_and_deviation_one_half(features: list[np.ndarray]) -> None:
    sums = FrameSums.pooled(FrameSums.of(row) for row in features)
    normalised = normalised_ast(torch.from_numpy(np.stack(features)), sums.mean, sums.std)
    assert float(normalised.mean()) == pytest.approx(0, abs=1e-4)
    assert float(normalised.std()) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("fill", [0.0, 0.467, -15.94])
def test_frames_of_padding_in_arrays_made_elsewhere_are_left_out(fill: float) -> None:
    spoken = np.random.default_rng(0).normal(-4, 3, (598, 128)).astype(np.float32)
    padded = np.full((1024, 128), fill, np.float32)
    padded[:598] = spoken
    assert (without_padding(padded) == spoken).all()
    assert len(without_padding(np.full((1024, 128), fill, np.float32))) == 0


def test_sums_do_not_depend_on_the_order_they_are_pooled_in() -> None:
    rows = [np.random.default_rng(n).normal(-5, 4, (64, 128)).astype(np.float32) for n in range(20)]
    sums = [FrameSums.of(row) for row in rows]
    assert FrameSums.pooled(sums) == FrameSums.pooled(reversed(sums))


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no mean"):
        _ = FrameSums.pooled([]).mean
