"""Charts are the same bytes for the same numbers, and cope with whatever numbers and names there are."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from worker.ml.preparation.charts import bars_png, histogram_png, plain_style, shares_png


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert not image.info.keys() & {"Software", "Creation Time"}
        return np.asarray(image.convert("RGB"))


def histogram(values: list[float]) -> bytes:
    with plain_style():
        return histogram_png("Durations", {"recordings": values}, "seconds", "recordings")


def test_the_same_numbers_make_the_same_bytes_whatever_somebody_likes_charts_to_be() -> None:
    values = list(np.random.default_rng(0).normal(5, 1, 100))
    plain = histogram(values)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 10}):
        assert histogram(values) == plain


@pytest.mark.parametrize("values", [[6.0] * 50, [0.0], [1e-3, 1e5, 3.0], [-60.0, -3.0]], ids=str)
def test_a_histogram_shows_bars_for_any_values(values: list[float]) -> None:
    teal = np.array([0x2F, 0x6F, 0x7E])
    assert (np.abs(pixels(histogram(values)).astype(int) - teal).max(axis=2) < 4).sum() > 50


def test_names_in_any_script_and_any_length_are_drawn_without_a_warning() -> None:
    with plain_style():
        names = {"名前: 日本": {"train": 3}, "x" * 200: {"test": 1}, "$a_b$ \\frac": {"validation": 0}}
        shares = pixels(shares_png("Split", "note", names, ("train", "validation", "test")))
        bars = pixels(bars_png("Kept", {"kept": 5, **{f"r{n}": n for n in range(30)}}, "inputs", "kept"))
    assert shares.shape[1] == bars.shape[1] == 880


def test_more_of_something_is_a_longer_bar() -> None:
    with plain_style():
        bars = pixels(bars_png("Kept", {"kept": 90, "no_face": 30}, "inputs", "kept")).astype(int)
    good, bad = ((np.abs(bars - colour).max(axis=2) < 4).sum() for colour in ([47, 111, 126], [176, 96, 79]))
    assert good == pytest.approx(3 * bad, rel=0.1)
