"""A training as a program: `python -m worker.train RUN` does what `RUN/request.json` says (docs/training.md).

It needs no server: datasets and models lie in folders that the request names. Events go to standard output, logs to
standard error. Asked to stop by SIGTERM or Ctrl-C it leaves a checkpoint; started again it goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from worker.ml.training.events import STOPPED, Ended, Event, Failed, Note, Tell, write_event
from worker.train_request import REQUEST, TrainRequest, read_request, spec_sha256

DONE, FAILED = 0, 1
LOG = "log.txt"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _parser().parse_args(arguments)
    stopping = _Stopping()
    run: Path = options.run.resolve()
    try:
        request = read_request(run)
    except (OSError, ValidationError) as failure:
        write_event(Failed("invalid_recipe", _about_request(run, failure)))
        return FAILED
    if options.outcomes is not None:
        return _train_as_one_of_several(run, request, options.outcomes, stopping.is_asked)
    machine = request.spec.machine
    if machine.processes > 1 or machine.hosts > 1:
        from worker.train_processes import Group, run_processes

        group = Group(machine.processes, machine.hosts, options.number, options.leader)
        return run_processes(run, group, stopping.is_asked)
    code, failed = _train(run, request, stopping.is_asked)
    if failed is not None:
        _write_and_log(run)(failed)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.train", description="Train what a run folder asks for, or go on with it."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help=f"the run folder, with {REQUEST}")
    parser.add_argument(
        "--leader", metavar="ADDRESS", help="of several hosts: where the first one is reached"
    )
    parser.add_argument("--number", type=int, default=0, help="of several hosts: which this is, from 0")
    # In one process of several: where it leaves word of how it ended.
    parser.add_argument("--outcomes", type=Path, help=argparse.SUPPRESS)
    return parser


class _Stopping:
    """Whether somebody asked for the end. A second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def is_asked(self) -> bool:
        return self._asked

    def _ask(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._asked:
            raise KeyboardInterrupt
        self._asked = True


def _train_as_one_of_several(
    run: Path, request: TrainRequest, outcomes: Path, should_stop: Callable[[], bool]
) -> int:
    from worker.train_processes import die_with_parent, leave_sign, leave_word

    die_with_parent()
    leave_sign(outcomes)
    code, failed = _train(run, request, should_stop)
    leave_word(outcomes, code if failed is None else failed)
    # Any code but 0 has torchrun end the others, of which the first may still be writing the checkpoint.
    return FAILED if code == FAILED else DONE


def _train(run: Path, request: TrainRequest, should_stop: Callable[[], bool]) -> tuple[int, Failed | None]:
    # Read by cuBLAS when a GPU is first used: without it, its sums come out in any order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Torch takes over a second to load, and a wrong request has been told before.
    from worker.ml.training.failures import Stopped
    from worker.train_failures import explain

    tell = _write_and_log(run)
    try:
        rank, ended = _perform(run, request, tell, should_stop)
    except Stopped:
        return STOPPED, None
    except Exception as failure:  # noqa: BLE001 - whatever it is, somebody waits for a sentence
        traceback.print_exc()
        return FAILED, explain(failure, request)
    if rank == 0:
        tell(ended)
    return DONE, None


def _perform(
    run: Path, request: TrainRequest, tell: Tell, should_stop: Callable[[], bool]
) -> tuple[int, Ended]:
    from worker.ml.dataset_reader import PreparedDataset
    from worker.ml.devices import choose_device
    from worker.ml.training import collectives, seeds
    from worker.ml.training.engine import RunSettings, train
    from worker.training import build_task

    spec, machine = request.spec, request.spec.machine
    world = collectives.join(choose_device(request.device))
    with PreparedDataset.open(request.dataset, sha256=request.dataset_sha256) as dataset:
        seeds.seed_weights(machine.seed)
        task, phases = build_task(spec, dataset, request.models, str(world.device))
        settings = RunSettings(
            run,
            seed=machine.seed,
            precision=machine.precision,
            device=str(world.device),
            deterministic=machine.deterministic,
            loader_threads=machine.loader_threads,
            log_steps=machine.log_steps,
            validate_epochs=machine.validate_epochs,
            sample_pictures=machine.sample_pictures,
            checkpoint_minutes=machine.checkpoint_minutes,
            dataset_sha256=dataset.sha256,
            spec_sha256=spec_sha256(spec),
        )
        ended = train(task, phases, settings, tell, should_stop)
    # Not after a failure: its word must be left before the other processes notice that this one is gone.
    collectives.leave()
    return world.rank, ended


def _write_and_log(run: Path) -> Tell:
    """Tells events, and adds what people read of them to the run's log."""

    def tell(event: Event) -> None:
        write_event(event)
        if isinstance(event, Note | Failed):
            level = event.level if isinstance(event, Note) else "error"
            text = event.text if isinstance(event, Note) else f"{event.code}: {event.message}"
            # The log is a convenience: where there is no room for it, the training itself says so.
            with contextlib.suppress(OSError), (run / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {level} {text}\n")

    return tell


def _about_request(run: Path, failure: OSError | ValidationError) -> str:
    if isinstance(failure, OSError):
        return f"There is no {REQUEST} in {run} that can be read ({failure.strerror})."
    first = failure.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{run / REQUEST} is no request for a training: {where + ': ' if where else ''}{first['msg']}."


if __name__ == "__main__":
    sys.exit(main())
