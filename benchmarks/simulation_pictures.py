"""Curves of what `benchmarks.simulation` kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_FLAT_OUT = "flat out"
_SIZE = (11.0, 7.2)  # inches
Results = Sequence[Mapping[str, Any]]


def draw(results: Results, folder: Path) -> list[Path]:
    """Draws one picture for workers that need no time, and one for workers of a given speed, where there are any.

    Args:
        results: points as `benchmarks.simulation.measure` answers them.
    """
    matplotlib.rcParams["svg.hashsalt"] = "simulation"  # the same numbers give the same file
    drawn = []
    flat = [one for one in results if not one["rate"]]
    paced = [one for one in results if one["rate"]]
    for name, some in (("simulation-flat-out", flat), ("simulation-paced", paced)):
        if some:
            file = folder / f"{name}.svg"
            figure_of(some).savefig(file, metadata={"Date": None})
            drawn.append(file)
    return drawn


def figure_of(results: Results) -> Figure:
    """Four panels over the number of workers."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes: Any = figure.subplots(2, 2)
    series = _series(results)
    _curves(axes[0, 0], series, "items a second", lambda one: one["items_per_second"])
    _curves(
        axes[0, 1],
        series,
        "connections that wait for a lock",
        lambda one: sum(
            count for what, count in one["waiting_connections"].items() if what.startswith("Lock:")
        ),
    )
    for place, what, title in ((axes[1, 0], "claim", "a claim"), (axes[1, 1], "publish", "a publication")):
        _curves(
            place,
            series,
            f"milliseconds of {title}: median, and p99 dashed",
            lambda one, what=what: one["milliseconds"][what].get("p50", float("nan")),
            lambda one, what=what: one["milliseconds"][what].get("p99", float("nan")),
        )
    axes[0, 0].legend(fontsize=8)
    return figure


def _series(results: Results) -> dict[str, list[Mapping[str, Any]]]:
    """Points that differ in the number of workers only, in its order."""
    series: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(results, key=lambda one: (one["backlog"], one["jobs"], one["rate"], one["workers"])):
        name = f"{one['backlog']:,} waiting, {one['jobs']} job{'s' * (one['jobs'] != 1)}"
        name += f", chunks of {one['chunk']}" + (f", {one['rate']:g}/s each" if one["rate"] else "")
        series.setdefault(name, []).append(one)
    return series


def _curves(axes: Axes, series: Mapping[str, Iterable[Mapping[str, Any]]], title: str, *values: Any) -> None:
    for number, (name, points) in enumerate(series.items()):
        listed = list(points)
        for style, value in zip(("-o", "--"), values, strict=False):
            axes.plot(
                [one["workers"] for one in listed],
                [value(one) for one in listed],
                style,
                color=f"C{number % 10}",
                markersize=4,
                label=name if style == "-o" else None,
            )
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("workers", fontsize=9)
    axes.grid(alpha=0.3)
    if len(values) > 1:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
