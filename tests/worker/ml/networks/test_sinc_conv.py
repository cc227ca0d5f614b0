"""Whatever is learned, every filter of the speech front end stays a band-pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from worker.ml.networks.sinc_conv import SincConv

RATE = 16_000
POINTS = 8192


def power_of(front: SincConv) -> npt.NDArray[np.float64]:
    """Power of each filter at POINTS // 2 + 1 frequencies up to half the sampling rate, `[F, ·]`."""
    filters = front.impulse_responses().detach().double().numpy()
    return np.abs(np.fft.rfft(filters, POINTS, axis=1)) ** 2


def test_a_filter_passes_its_band_and_little_else() -> None:
    front = SincConv(80, 251)
    low, high = (edge.detach().numpy() * RATE for edge in front.cut_offs())
    hertz = np.fft.rfftfreq(POINTS, 1 / RATE)
    lobe = 2 * RATE / 251  # half the main lobe of a Hamming window
    inside = (hertz > low - lobe) & (hertz < high + lobe)
    power = power_of(front)
    share = (power * inside).sum(axis=1) / power.sum(axis=1)
    assert share.min() > 0.99
    assert inside.mean(axis=1).max() < 0.12  # so the share says something
    loudest = hertz[power.argmax(axis=1)][:, None]
    assert np.all((loudest >= low - lobe / 2) & (loudest <= high + lobe / 2))


def test_filters_are_the_windowed_difference_of_two_low_passes() -> None:
    front = SincConv(7, 101)
    mels = np.linspace(2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 7900 / 700), 8)
    edges = 700 * (10 ** (mels / 2595) - 1)
    n = np.arange(-50, 51)
    for number, row in enumerate(front.impulse_responses().detach().numpy()):
        low = 50 + edges[number]
        high = min(low + 50 + edges[number + 1] - edges[number], 8000)
        ideal = 2 * high / RATE * np.sinc(2 * high / RATE * n) - 2 * low / RATE * np.sinc(2 * low / RATE * n)
        # The authors' window is not quite symmetric; its first half is mirrored, and the middle is left as it is.
        window = 0.54 - 0.46 * np.cos(2 * np.pi * (50 - np.abs(n)) / 101)
        window[50] = 1.0
        np.testing.assert_allclose(row, ideal * window / (2 * (high - low) / RATE), atol=2e-5)


def test_only_two_numbers_of_each_filter_are_learned() -> None:
    assert sum(one.numel() for one in SincConv(80, 251).parameters()) == 160


def test_gradients_reach_cut_offs_and_bandwidths_of_every_filter() -> None:
    front = SincConv(80, 251, stride=8)
    front(torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))).abs().sum().backward()
    for learned in (front.low, front.band):
        assert learned.grad is not None
        assert torch.isfinite(learned.grad).all()
    assert front.low.grad is not None and (front.low.grad != 0).all()
    # The highest band ends at half the sampling rate, where it cannot grow.
    assert front.band.grad is not None and int((front.band.grad != 0).sum()) >= 78


def test_a_step_of_the_optimiser_moves_a_cut_off_by_more_than_a_hertz() -> None:
    front = SincConv(8, 101)
    before = front.cut_offs()[0].detach().clone()
    optimiser = torch.optim.Adam(front.parameters(), lr=1e-4)
    front(torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))).abs().sum().backward()
    optimiser.step()
    assert ((front.cut_offs()[0] - before).abs() * RATE).min() > 1.0


def test_an_even_length_becomes_odd_and_a_stride_of_eight_gives_an_eighth_of_the_frames() -> None:
    front = SincConv(80, 250, stride=8)
    assert front.length == 251
    assert front.impulse_responses().shape == (80, 251)
    assert front(torch.zeros(1, 96_000)).shape == (1, 80, 12_000)


@pytest.mark.parametrize("wild", [-3.0, 0.5, 40.0])
def test_no_filter_loses_its_band_however_far_it_is_pushed(wild: float) -> None:
    front = SincConv(5, 51)
    with torch.no_grad():
        front.low.fill_(wild)
        front.band.fill_(-wild)
    low, high = front.cut_offs()
    assert ((high - low) * RATE > 49.9).all() and (high <= 0.5).all()
    assert torch.isfinite(front.impulse_responses()).all()
