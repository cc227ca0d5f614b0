"""Measure a model: `python -m worker.evaluate RUN`. `RUN/request.json` says what and on what; docs/metrics.md says how.

Leaves `RUN/report/` with report.json, report.html and charts, and prints events. Asked to stop, it exits with 75 and
leaves nothing; the next run begins anew and comes to the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.training.specs import EvaluateSpec
from worker.evaluation.program import Steps, run_program, tell_files
from worker.evaluation.request import read_request

_STAGES = {"listening": 1.0, "looking at faces": 1.0, "drawing": 1.0, "judging": 10.0, "measuring": 2.0}
FOLDER = "report"


def evaluate_run(run: Path) -> Mapping[str, Any]:
    """Do what a run folder asks; answers the result.

    Raises:
        MediaError: it cannot be done.
    """
    step = Steps(_STAGES)
    spec, request = read_request(run, EvaluateSpec)
    # Torch takes over a second to load, and what is wrong so far has been told before.
    from worker.evaluation.evaluation import evaluate
    from worker.evaluation.report import write_report
    from worker.evaluation.subject import load_subject

    with request.open_dataset() as dataset:
        subject = load_subject(request.folders(spec.model), request.device)
        partner = (
            load_subject(request.folders(spec.partner), request.device) if spec.partner is not None else None
        )
        evaluation = evaluate(
            subject,
            dataset,
            spec.split,
            partner=partner,
            most_people=spec.most_people,
            seed=spec.seed,
            weights=request.measures,
            step=step,
        )
        step("measuring", 1, 1)
        told, names = write_report(
            run / FOLDER,
            evaluation,
            subject=subject,
            model=spec.model,
            partner=spec.partner,
            dataset=dataset,
            dataset_name=spec.dataset,
            split=spec.split,
            seed=spec.seed,
        )
    tell_files(run, FOLDER, names)
    return {"metrics": told["metrics"]}


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run_program(evaluate_run, arguments)


if __name__ == "__main__":
    sys.exit(main())
