"""Show what a model makes of voice and noise: `python -m worker.analyse RUN`, as `RUN/request.json` asks.

Leaves `RUN/report/` with report.json, report.html and pictures, and prints events. Asked to stop, it exits with 75.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.training.specs import AnalyseSpec
from worker.evaluation.program import Steps, run_program, tell_files
from worker.evaluation.request import read_request

_STAGES = {"listening": 1.0, "analysing": 10.0}
FOLDER = "report"


def analyse_run(run: Path) -> Mapping[str, Any]:
    """Do what a run folder asks; answers the result.

    Raises:
        MediaError: it cannot be done.
    """
    step = Steps(_STAGES)
    spec, request = read_request(run, AnalyseSpec)
    from worker.evaluation.analyses import Analyst
    from worker.evaluation.analysis_report import write_analysis
    from worker.evaluation.subject import load_subject

    with request.open_dataset() as dataset:
        subject = load_subject(request.folders(spec.model), request.device)
        analyst = Analyst(
            subject, dataset, spec.split, voices=spec.voices, noises=spec.noises, seed=spec.seed, step=step
        )
        analysed = analyst.carry_out(spec.analyses)
        names = write_analysis(
            run / FOLDER,
            analysed,
            subject=subject,
            model=spec.model,
            dataset=dataset,
            dataset_name=spec.dataset,
            split=spec.split,
            seed=spec.seed,
        )
    tell_files(run, FOLDER, names)
    return {"analyses": analysed.numbers, "not_applicable": analysed.not_applicable}


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    return run_program(analyse_run, arguments)


if __name__ == "__main__":
    sys.exit(main())
