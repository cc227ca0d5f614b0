"""A training, an evaluation or an analysis on this machine, with no servers.

`python -m worker.run_local DIR --request JSON`. The same program as the queue's, in the folder DIR. Ctrl-C, or SIGTERM,
leaves a checkpoint; the same command goes on from it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.training.watching import ProgramLine, describe_progress
from worker.ml.training.events import Ended, Event, Metrics, Note, Progress
from worker.program_work import PROGRAMS
from worker.supervisor import Limits, RunEnd, Supervisor, Why

ALL_DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None, programs: Mapping[str, Sequence[str]] = PROGRAMS) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="voicesketch train --local")
    parser.add_argument("out", type=Path, metavar="DIR")
    parser.add_argument("--request", required=True, metavar="JSON", help="what request.json is to say")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    options = parser.parse_args(arguments)
    request: dict[str, Any] = json.loads(options.request)
    content = (Path(request["dataset"]) / "dataset.json").read_bytes()
    request["dataset_sha256"] = hashlib.sha256(content).hexdigest()
    out: Path = options.out
    if (sentence := _take(out, request)) is not None:
        print(sentence, file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    with ProgramLine() as line:
        end = _run(request, out, line, programs)
        return _tell(end, request, out, line, as_json=options.json)


def _take(out: Path, request: Mapping[str, Any]) -> str | None:
    """Writes the request; answers why the folder cannot be used."""
    path = out / "request.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            before = json.loads(path.read_text())
            if any(before.get(name) != request[name] for name in ("spec", "dataset_sha256")):
                return f"{out} holds a run with other settings or another dataset. Choose another folder, or remove it."
        elif any(out.iterdir()):
            return f"{out} is not empty, and holds no run to go on with. Choose another folder."
        path.write_text(json.dumps(request, indent=2) + "\n")
    except (OSError, ValueError) as error:
        return f"{out} cannot be used: {error}."
    return None


def _run(
    request: Mapping[str, Any], out: Path, line: ProgramLine, programs: Mapping[str, Sequence[str]]
) -> RunEnd:
    asked: list[int] = []
    losses: dict[str, float] = {}

    def ask(number: int, _frame: object) -> None:
        if not asked:
            line.note("Stopping; a checkpoint is written first.")
        asked.append(number)

    def why_stop() -> Why | None:
        # Asked a second time, it does not wait for the checkpoint.
        return None if not asked else "leaving" if len(asked) == 1 else "lost"

    def heard(event: Event) -> None:
        if isinstance(event, Progress):
            line.show(describe_progress(vars(event), losses))
        elif isinstance(event, Metrics):
            losses.update(event.values)
        elif isinstance(event, Note):
            line.note(event.text)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    machine = request["spec"].get("machine") or {}
    hours, gib = machine.get("wall_hours"), machine.get("memory_gib")
    limits = Limits(
        wall_seconds=hours * 3600 if hours else None, memory_bytes=round(gib * 2**30) if gib else None
    )
    try:
        return Supervisor(
            [*programs[request["spec"]["kind"]], str(out.resolve())],
            folder=out,
            environment={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _code_path()},
            limits=limits,
            why_stop=why_stop,
            on_event=heard,
            on_line=line.note,
        ).run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(end: RunEnd, request: Mapping[str, Any], out: Path, line: ProgramLine, *, as_json: bool) -> int:
    if isinstance(end.ended, Ended):
        if as_json:
            told = {"out": str(out), "outcome": end.ended.outcome, **end.ended.result}
            print(json.dumps(told, indent=2))  # noqa: T201
            return ALL_DONE
        models = end.ended.result.get("model") or {}
        for name, role in models.items():
            print(f"{role}: {out / 'model' / name}")  # noqa: T201
        if (out / "report" / "report.html").is_file():
            print(out / "report" / "report.html")  # noqa: T201
        return ALL_DONE
    if end.how in ("stopped", "lost"):
        line.note(f"Stopped. The same command goes on from the last checkpoint in {out}.")
        return INTERRUPTED
    message = end.failed.message if end.failed is not None else end.sentence
    line.note(f"{message} The same command tries it again from the last checkpoint in {out}.")
    return FAILED


def _code_path() -> str:
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))


if __name__ == "__main__":
    sys.exit(main())
