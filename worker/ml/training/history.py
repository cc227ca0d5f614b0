"""The curves as files: CSV for people and programs, TensorBoard's event file for those who use it.

Every checkpoint carries the curves up to it. A resumed run writes both files anew from there, so no point is in them
twice and none is missing, also where nothing but a checkpoint was brought to another machine.
"""

from __future__ import annotations

import csv
import io
import math
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

COLUMNS = ("step", "epoch", "phase", "series", "value", "at")


@dataclass(frozen=True)
class Point:
    """Values at a step. `at` is in seconds since 1970."""

    step: int
    epoch: float
    phase: str
    values: Mapping[str, float]
    at: float


class History:
    """Keeps both files. One row a value; see `COLUMNS`."""

    def __init__(self, csv_file: Path, event_file: Path) -> None:
        self._paths = csv_file, event_file
        self._text = bytearray()
        self._csv = csv_file.open("wb", buffering=0)
        self._events = RecordWriter(str(event_file))
        self._add((",".join(COLUMNS) + "\n").encode())

    def restore(self, kept: torch.Tensor) -> None:
        """Go on after the curves of a checkpoint, in place of what the files hold.

        Args:
            kept: uint8 `[N]`, as `as_tensor` made it.
        """
        text = zlib.decompress(kept.numpy().tobytes())
        self.close()
        csv_file, event_file = self._paths
        self._csv = csv_file.open("wb", buffering=0)
        self._events = RecordWriter(str(event_file))
        self._text = bytearray()
        self._add(text)
        for point in read_points(text.decode()):
            self._add_event(point)
        self.flush()

    def as_tensor(self) -> torch.Tensor:
        """All curves so far, uint8 `[N]`, for a checkpoint."""
        packed = zlib.compress(bytes(self._text), level=1)
        return torch.from_numpy(np.frombuffer(packed, np.uint8).copy())

    def add(self, step: int, epoch: float, phase: str, values: Mapping[str, float]) -> dict[str, float]:
        """Add a point; what is no number is left out. Answers what was added."""
        values = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        point = Point(step, epoch, phase, values, round(time.time(), 3))
        lines = io.StringIO()
        rows = csv.writer(lines, lineterminator="\n")
        for name, value in values.items():
            rows.writerow((step, repr(epoch), phase, name, repr(value), point.at))
        self._add(lines.getvalue().encode())
        self._add_event(point)
        return values

    def flush(self) -> None:
        """Have both files whole on the disk."""
        self._events.flush()

    def close(self) -> None:
        """Close both files."""
        self._csv.close()
        self._events.close()

    def _add(self, text: bytes) -> None:
        self._text += text
        self._csv.write(text)

    def _add_event(self, point: Point) -> None:
        if not point.values:
            return
        values = [Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()]
        event = Event(wall_time=point.at, step=point.step, summary=Summary(value=values))
        self._events.write(event.SerializeToString())


def read_points(text: str) -> Sequence[Point]:
    """The points of a history file."""
    points: list[Point] = []
    for row in csv.DictReader(io.StringIO(text)):
        place = int(row["step"]), float(row["epoch"]), row["phase"]
        value = {row["series"]: float(row["value"])}
        at = float(row["at"])
        last = points[-1] if points else None
        if last and (last.step, last.epoch, last.phase, last.at) == (*place, at):
            points[-1] = Point(*place, {**last.values, **value}, at)
        else:
            points.append(Point(*place, value, at))
    return points
