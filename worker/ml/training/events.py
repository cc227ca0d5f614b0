"""What a running program tells its supervisor: one JSON object a line on standard output. Logs go to standard error.

The names of the classes, in lower case, are the `event` of a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

STOPPED = 75  # exit code of a program that left a checkpoint because it was asked to stop (EX_TEMPFAIL)


@dataclass(frozen=True)
class Progress:
    """Where a program stands. For programs without epochs only `step` and `steps` count."""

    step: int
    steps: int
    phase: str = ""
    epoch: int = 0
    epochs: int = 0
    learning_rate: float | None = None
    samples_per_second: float | None = None
    memory_bytes: int | None = None
    eta_seconds: float | None = None
    resumed_at_step: int | None = None
    doing: str = ""


@dataclass(frozen=True)
class Metrics:
    """Points of curves, such as `{"train/total": 0.5}`. Steps count through all phases."""

    step: int
    epoch: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class File:
    """A whole file in the run folder that others should have. `name` is relative to the folder, with `/`.

    Kinds as in `core.ledger.training_tables.JobFile`; one with `gone` is no longer kept.
    """

    kind: str
    name: str
    step: int | None = None
    gone: bool = False


@dataclass(frozen=True)
class Note:
    """A sentence for the log of the job."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


@dataclass(frozen=True)
class Ended:
    """It is done. `result` is for whoever started it: what was trained, what was measured."""

    outcome: Literal["completed", "stopped_early"] = "completed"
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """It cannot go on, and trying again as it is will not help, unless `retryable`.

    Codes: `not_finite`, `out_of_memory`, `dataset_not_found`, `dataset_mismatch`, `disk_full`, `time_limit`,
    `memory_limit`, `checkpoint_mismatch`, `invalid_recipe`, `internal_error`.
    """

    code: str
    message: str
    retryable: bool = False


Event = Progress | Metrics | File | Note | Ended | Failed
Tell = Callable[[Event], None]
_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Progress, Metrics, File, Note, Ended, Failed)
}


def write_event(event: Event) -> None:
    """Tell an event on standard output."""
    sys.stdout.write(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}) + "\n")
    sys.stdout.flush()


def read_event(line: str) -> Event | None:
    """The event of a line; None for a line that is none."""
    try:
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        event: Event = kind(**values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event
