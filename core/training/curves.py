"""Reading the curves of a training, thinned out where there are more points than anybody could see.

A run of a week writes millions of points. Of each stretch of a long curve its smallest and its largest value are kept,
so that no spike gets lost, and the first and the last point of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from core.ledger.training_tables import Measurement


@dataclass(frozen=True)
class Curve:
    """Values by step, in the order of steps."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Curves:
    """Attributes:
    series: by name, such as `train/total`.
    epochs: how far the training was, in epochs, at some of the steps.
    last_step: of all curves; None where there is no point.
    thinned: whether points were left out.
    """

    series: dict[str, Curve]
    epochs: Curve
    last_step: int | None
    thinned: bool


def read_curves(session: Session, job_id: str, *, after: int = -1, points: int = 1000) -> Curves:
    """The curves of a job from the step behind `after`.

    Args:
        points: of each curve, at most about so many.
    """
    here = (Measurement.job_id == job_id, Measurement.step > after)
    # One row a curve, its numbers as one text: that is read several times as fast as a row for every point.
    rows = session.execute(
        select(
            Measurement.series,
            _listed(session, Measurement.step),
            _listed(session, Measurement.value),
        )
        .where(*here)
        .group_by(Measurement.series)
        .order_by(Measurement.series)
    )
    series, thinned, longest, last_step = {}, False, "", -1
    for name, steps_text, values_text in rows:
        steps = np.fromstring(steps_text, dtype=np.int64, sep=",")
        values = np.fromstring(values_text, dtype=np.float64, sep=",")
        if np.any(steps[1:] < steps[:-1]):
            order = np.argsort(steps)
            steps, values = steps[order], values[order]
        kept = _kept(values, points)
        thinned = thinned or len(kept) < len(values)
        series[name] = Curve(steps[kept].tolist(), values[kept].tolist())
        last_step = max(last_step, int(steps[-1]))
        if not longest or len(series[name].steps) > len(series[longest].steps):
            longest = name
    epochs = _epochs(session, job_id, longest, series[longest].steps) if longest else Curve()
    return Curves(series, epochs, last_step if series else None, thinned)


def newest_points(session: Session, job_id: str, series: str, count: int) -> list[float]:
    """The last values of one curve, oldest first."""
    found = session.scalars(
        select(Measurement.value)
        .where(Measurement.job_id == job_id, Measurement.series == series)
        .order_by(Measurement.step.desc())
        .limit(count)
    ).all()
    return [*found][::-1]


def _listed(session: Session, column: Any) -> ColumnElement[Any]:
    if session.get_bind().dialect.name == "sqlite":
        return func.group_concat(column)
    return func.array_to_string(func.array_agg(column), ",")


def _kept(values: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    """Which points are kept: the ends, and of every stretch the lowest and the highest."""
    count = len(values)
    if count <= points:
        return np.arange(count)
    edges = np.linspace(0, count, max(1, points // 2) + 1).astype(np.int64)
    lowest = [int(a + values[a:b].argmin()) for a, b in pairwise(edges)]
    highest = [int(a + values[a:b].argmax()) for a, b in pairwise(edges)]
    return np.unique(np.array([0, count - 1, *lowest, *highest], dtype=np.int64))


def _epochs(session: Session, job_id: str, series: str, steps: Sequence[int]) -> Curve:
    """Epochs change evenly with steps but for the ends of phases, so a few hundred places say them all."""
    some = sorted({*steps[:: max(1, len(steps) // 400)], steps[-1]})
    rows = session.execute(
        select(Measurement.step, Measurement.epoch)
        .where(
            Measurement.job_id == job_id,
            Measurement.series == series,
            Measurement.step.in_(some),
        )
        .order_by(Measurement.step)
    ).all()
    return Curve([step for step, _ in rows], [epoch for _, epoch in rows])
