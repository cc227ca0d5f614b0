"""The charts of reports, each for a light and for a dark page. The same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from core.models.metric_words import metric_title
from worker.ml.metrics.intervals import Numbers
from worker.ml.metrics.measure import Measure

WIDTH, DPI = 8.0, 120


@dataclass(frozen=True)
class Palette:
    """Colours of a page. `first` and `second` are told apart by lightness as well."""

    paper: str
    ink: str
    soft: str
    grid: str
    first: str
    second: str
    mark: str


LIGHT = Palette("#ffffff", "#21252b", "#5f646b", "#e4e1da", "#2f6f7e", "#c07f3a", "#8a8fa3")
DARK = Palette("#16191d", "#e8e6e1", "#a3a8b0", "#343941", "#62b3c2", "#e0a566", "#8a8fa3")


@dataclass(frozen=True)
class Chart:
    """A picture of a report: file name, PNGs for either page, and what it shows."""

    name: str
    title: str
    caption: str
    light: bytes
    dark: bytes


def intervals_chart(
    name: str, title: str, caption: str, rows: Mapping[str, Measure], *, share: bool
) -> Chart | None:
    """A dot with its interval for each measure, ticks for chance, and hollow marks for what others published."""
    if not rows:
        return None

    def draw(axes: Axes, palette: Palette) -> None:
        labels: list[str] = []
        places: dict[str, int] = {}
        for key, measure in rows.items():
            base = key.removesuffix(".dlib")
            if base not in places:
                places[base] = len(labels)
                labels.append(metric_title(base))
            # The second judge's dot lies a little below the first one's.
            place = places[base] + (0.2 if key != base else -0.1)
            colour = palette.second if key != base else palette.first
            if measure.low is not None and measure.high is not None:
                axes.plot(
                    [measure.low, measure.high], [place, place], color=colour, linewidth=3.2, alpha=0.55
                )
            axes.plot([measure.value], [place], "o", color=colour, markersize=7, zorder=3)
            if measure.chance is not None:
                tick = [places[base] - 0.36, places[base] + 0.36]
                axes.plot([measure.chance] * 2, tick, color=palette.ink, linewidth=1.4)
            for one in measure.published:
                axes.plot(
                    [one.value], [place], "D", markersize=4.5, markerfacecolor="none", color=palette.mark
                )
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.grid(visible=True, axis="x", color=palette.grid, linewidth=0.8)
        if share:
            axes.set_xlim(0, 1)
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))

    return _chart(
        name, title, caption, draw, height=0.8 + 0.36 * len({key.removesuffix(".dlib") for key in rows})
    )


def recall_chart(
    name: str, title: str, caption: str, curves: Mapping[str, Mapping[int, float]], gallery: int
) -> Chart:
    """R@K over K, with the line of guessing."""

    def draw(axes: Axes, palette: Palette) -> None:
        colours = (palette.first, palette.second, palette.mark)
        ks = sorted({k for curve in curves.values() for k in curve})
        axes.plot(ks, [k / gallery for k in ks], "--", color=palette.soft, linewidth=1.2, label="guessing")
        for (who, curve), colour in zip(curves.items(), colours, strict=False):
            axes.plot(
                list(curve), list(curve.values()), "o-", color=colour, linewidth=2, markersize=5, label=who
            )
        axes.set_xscale("log")
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel(f"among the K nearest of {gallery}")
        axes.grid(visible=True, axis="y", color=palette.grid, linewidth=0.8)
        _legend(axes, palette)

    return _chart(name, title, caption, draw, height=3.6)


def nearness_chart(
    name: str, title: str, caption: str, sides: Mapping[str, tuple[Numbers, Numbers]]
) -> Chart:
    """Histograms of cosines to the own person and to others, one panel for each judge."""

    def draw_all(figure: Figure, palette: Palette) -> None:
        panels = figure.subplots(1, len(sides), squeeze=False)[0]
        for axes, (who, (own, other)) in zip(panels, sides.items(), strict=True):
            _style(axes, palette)
            everything = np.concatenate([own, other])
            edges = np.linspace(float(everything.min()), float(everything.max()) + 1e-6, 22)
            for values, colour, label in (
                (other, palette.mark, "somebody else"),
                (own, palette.first, "the own person"),
            ):
                weights = np.full(len(values), 1 / len(values))
                axes.hist(values, bins=edges, weights=weights, color=colour, alpha=0.6, label=label)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_xlabel(f"cosine, {who}" if len(who) < 40 else "cosine")
            axes.grid(visible=True, axis="y", color=palette.grid, linewidth=0.8)
        _legend(panels[0], palette)

    return Chart(name, title, caption, _png(draw_all, LIGHT, 3.2), _png(draw_all, DARK, 3.2))


def scatter_chart(
    name: str, title: str, caption: str, across: Numbers, up: Numbers, labels: tuple[str, str]
) -> Chart:
    """A dot for each pair of people."""

    def draw(axes: Axes, palette: Palette) -> None:
        axes.plot(across, up, ".", color=palette.first, alpha=0.45, markersize=5)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(visible=True, color=palette.grid, linewidth=0.8)

    return _chart(name, title, caption, draw, height=3.8)


def bars_chart(
    name: str, title: str, caption: str, values: Mapping[str, tuple[float, float, float]]
) -> Chart:
    """Bars with intervals: value, low and high by name."""

    def draw(axes: Axes, palette: Palette) -> None:
        heights = [value for value, _, _ in values.values()]
        errors: Sequence[Sequence[float]] = [
            [value - low for value, low, _ in values.values()],
            [high - value for value, _, high in values.values()],
        ]
        axes.barh(list(values), heights, 0.55, color=palette.first, xerr=errors, ecolor=palette.ink)
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x", color=palette.grid, linewidth=0.8)

    return _chart(name, title, caption, draw, height=1.0 + 0.45 * len(values))


def _chart(
    name: str, title: str, caption: str, draw: Callable[[Axes, Palette], None], height: float
) -> Chart:
    def draw_all(figure: Figure, palette: Palette) -> None:
        axes = figure.add_subplot()
        _style(axes, palette)
        draw(axes, palette)

    return Chart(name, title, caption, _png(draw_all, LIGHT, height), _png(draw_all, DARK, height))


def _png(draw_all: Callable[[Figure, Palette], None], palette: Palette, height: float) -> bytes:
    with _plain_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=palette.paper, layout="constrained")
        FigureCanvasAgg(figure)
        draw_all(figure, palette)
        file = io.BytesIO()
        # Without the name and version of the program, which would be another file tomorrow.
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _style(axes: Axes, palette: Palette) -> None:
    axes.set_facecolor(palette.paper)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.grid)
    axes.tick_params(colors=palette.soft, labelsize=9, length=0)
    axes.xaxis.label.set_color(palette.soft)
    axes.yaxis.label.set_color(palette.soft)


def _legend(axes: Axes, palette: Palette) -> None:
    axes.legend(frameon=False, labelcolor=palette.ink, fontsize=9)


@contextmanager
def _plain_style() -> Iterator[None]:
    """Charts look the same whatever settings somebody keeps for matplotlib."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield
