"""The pictures of a report: histograms, bars and a table, in calm colours, the same bytes for the same numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from anyascii import anyascii
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

INK, SOFT_INK, GRID, PAPER = "#21252b", "#6e7278", "#e4e1da", "#ffffff"
COLOURS = ("#2f6f7e", "#d0975b", "#8a8fa3")  # teal, sand, slate: told apart by lightness as well
WARNING = "#b0604f"
WIDTH, HEIGHT, DPI = 8.0, 4.2, 110
BINS, FEWEST_BINS = 41, 9
LONG_TAIL = 20.0  # when the largest is this many times the median, the axis is logarithmic
MOST_BARS, MOST_ROWS = 16, 40


def histogram_png(
    title: str, series: Mapping[str, Sequence[float]], unit: str, what: str, *, whole: bool = False
) -> bytes:
    """How often which value occurs.

    Args:
        series: values by name; each has a colour of its own. At least one value in all.
        unit: of the values, below the axis.
        what: is counted, beside the axis.
        whole: the values are counts of things, so that every bar stands on a whole number.
    """
    figure, axes = _figure(title, _described(series, unit))
    everything = np.concatenate([np.asarray(values, dtype=np.float64) for values in series.values()])
    edges = _edges(everything, whole)
    is_long = len(edges) > 2 and not np.allclose(np.diff(edges), edges[1] - edges[0])
    share = 0.92 / len(series)
    for number, ((name, values), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
        counts, _ = np.histogram(values, bins=edges)
        left = edges[:-1] + np.diff(edges) * (0.04 + number * share)
        width = np.diff(edges) * share
        axes.bar(left, counts, width, align="edge", color=colour, label=name, linewidth=0)
    if is_long:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(unit)
    axes.set_ylabel(what)
    if len(series) > 1:
        axes.legend(frameon=False, labelcolor=INK)
    return _png(figure)


def bars_png(
    title: str, counts: Mapping[str, int], unit: str, good: str, expected: Collection[str] = ()
) -> bytes:
    """A bar for each name, in order, with its count beside it.

    Args:
        good: the name whose bar is what was hoped for.
        expected: names whose bars are no warnings either.
    """
    shown = dict(list(counts.items())[:MOST_BARS])
    total = sum(counts.values())
    figure, axes = _figure(title, f"{total:,} {unit} in all", height=1.6 + 0.36 * max(len(shown), 3))
    colours = [COLOURS[0] if name == good else COLOURS[2] if name in expected else WARNING for name in shown]
    bars = axes.barh([_plain(name) for name in shown], list(shown.values()), 0.62, color=colours)
    labels = [f"{count:,}  ({count / max(1, total):.1%})" for count in shown.values()]
    axes.bar_label(bars, labels, padding=5, color=INK, fontsize=9)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8)
    axes.set_xlim(0, max([1, *shown.values()]) * 1.22)
    axes.set_ylim(max(len(shown), 3) - 0.4, -0.6)  # one bar alone is no thicker than many
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel(unit)
    return _png(figure)


def shares_png(title: str, note: str, groups: Mapping[str, Mapping[str, int]], parts: Sequence[str]) -> bytes:
    """How each group divides into parts: a stacked bar of shares for each, with the counts in it.

    Args:
        groups: counts of every part, by group.
    """
    shown = dict(list(groups.items())[:MOST_ROWS])
    figure, axes = _figure(title, note, height=1.8 + 0.36 * len(shown))
    names = [_plain(name) for name in shown]
    rows = np.arange(len(names))
    before = np.zeros(len(names))
    for part, colour in zip(parts, COLOURS, strict=True):
        counts = np.array([group.get(part, 0) for group in shown.values()], dtype=np.float64)
        totals = np.array([max(1, sum(group.values())) for group in shown.values()])
        widths = counts / totals
        bars = axes.barh(rows, widths, 0.7, left=before, color=colour, label=part)
        labels = [
            f"{int(count):,}" if width > 0.035 else "" for count, width in zip(counts, widths, strict=True)
        ]
        axes.bar_label(bars, labels, label_type="center", color=PAPER, fontsize=8)
        before = before + widths
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the people")
    figure.legend(frameon=False, labelcolor=INK, ncols=len(parts), loc="outside lower right")
    return _png(figure)


def _figure(title: str, note: str, height: float = HEIGHT) -> tuple[Figure, Axes]:
    figure = Figure(
        figsize=(WIDTH, height),
        dpi=DPI,
        facecolor=PAPER,
        layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12),
    )
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(f"{_plain(title)}\n", loc="left", color=INK, fontsize=13, fontweight="bold")
    axes.annotate(
        _plain(note, 120), (0, 1), (0, 7), "axes fraction", "offset points", color=SOFT_INK, fontsize=9
    ).set_in_layout(False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    axes.grid(visible=False, axis="x")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=SOFT_INK, labelsize=9, length=0)
    axes.xaxis.label.set_color(SOFT_INK)
    axes.yaxis.label.set_color(SOFT_INK)
    return figure, axes


def _edges(values: npt.NDArray[np.float64], whole: bool) -> npt.NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / BINS)))
        beyond = max(0, math.ceil((FEWEST_BINS - (high - low + 1)) / 2))
        return np.arange(max(0.0, low - beyond) - 0.5, high + beyond + step + 0.5, step)
    if low > 0 and high > LONG_TAIL * float(np.median(values)):
        return np.geomspace(low, high, BINS + 1)
    if high - low < 1e-3:  # all the same: one bar in the middle
        margin = max(0.5, abs(low) / 4)
        low, high = low - margin, low + margin
    return np.linspace(low, high, BINS + 1)


def _described(series: Mapping[str, Sequence[float]], unit: str) -> str:
    told = []
    for name, values in series.items():
        middle, low, high = np.median(values), np.min(values), np.max(values)
        told.append(f"{len(values):,} {name}: median {middle:.4g}, {low:.4g} to {high:.4g}")
    return "; ".join(told) + f" {unit}"


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    # Without the name and version of the program, which would be another file tomorrow.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _plain(text: str, longest: int = 60) -> str:
    """In letters that the font has, short enough, and without what would be taken for a formula."""
    text = anyascii(text).replace("$", " ")
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


@contextmanager
def plain_style() -> Iterator[None]:
    """Charts made within look the same whatever settings somebody keeps for matplotlib."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
