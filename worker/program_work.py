"""Carries out claimed steps of trainings, evaluations and analyses: fetches, runs a program, passes on what it tells.

The program knows no ledger and no store: it reads local folders and writes into a run folder of its own
(docs/training.md). That folder survives the worker, so the next attempt on this machine goes on from what is there;
elsewhere, checkpoints come back from the store first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from core.claims.chunks import ProgramChunk
from core.config import PREFIX, Settings
from core.errors import LeaseLost, Retryable, StorageUnavailable, VoicesketchError
from core.ledger.database import Database
from core.ledger.tables import DatasetVersion, Job, ModelVersion
from core.models.cards import renew_card
from core.models.evaluations import enter_evaluation
from core.models.lineage import describe
from core.store import Store
from core.training.jobs import MODEL
from core.training.program_results import give_back, give_back_killed, publish_failure, publish_step
from core.training.requests import model_references
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec
from worker.ml.full_disk import is_full
from worker.ml.training.events import Ended, Event, File, Progress
from worker.program_inputs import ProgramInputs, Stopped, WhyStop
from worker.program_telling import Telling
from worker.supervisor import Limits, RunEnd, Supervisor
from worker.threads import as_before

log = structlog.get_logger()

RESULT = "result.json"
PROGRAMS: Mapping[str, Sequence[str]] = {
    kind: (sys.executable, "-m", f"worker.{kind}") for kind in ("train", "evaluate", "analyse")
}
CHECKOUT = Path(__file__).resolve().parent.parent
# What has to be sent when a program has ended: a model of some gigabytes, through a store that may be away.
_SENDING_SECONDS = 900.0
# The whole of a cancellation takes at most 35 s.
_STOPPING_SECONDS = 33.0
_SPEC: TypeAdapter[TrainSpec | EvaluateSpec | AnalyseSpec] = TypeAdapter(
    TrainSpec | EvaluateSpec | AnalyseSpec
)
_SENTENCES = {
    "cancelled": "It was cancelled or paused.",
    "leaving": "The worker is leaving.",
    "lost": "Somebody else has it now.",
}


@dataclass(frozen=True)
class Ran:
    """A program's end, and whether everything it told was passed on."""

    end: RunEnd
    all_sent: bool


class ProgramWork:
    """One per process; carries out one step at a time, in one thread.

    Args:
        programs: commands by kind; the run folder is added as their last argument.
        limits: what every program has to keep to; a spec's own limits come on top.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: Store,
        *,
        programs: Mapping[str, Sequence[str]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.store = store
        self.inputs = ProgramInputs(settings, database, store)
        self._programs = {**PROGRAMS, **(programs or {})}
        self._limits = limits or Limits()
        self.doing = ""

    def carry_out(self, chunk: ProgramChunk, why_stop: WhyStop) -> bool:
        """Does a step and publishes how it ended.

        Args:
            why_stop: asked all the time.

        Returns:
            False when what surrounds us failed and the step was given back.
        """
        began = time.monotonic()
        step = chunk.items[0]
        self.doing = f"getting ready for {step.name}"
        self.inputs.sweep()
        try:
            try:
                with self.inputs.run_folder(chunk.job_id, why_stop) as folder:
                    keep = self._do(chunk, folder, why_stop, began)
                if not keep:
                    self.inputs.forget(chunk.job_id)
                return True
            except Stopped as stopped:
                if stopped.why != "lost":
                    self._give_back(chunk, _SENTENCES[stopped.why])
                return True
            except Retryable as error:
                log.warning("gives back", job=chunk.job_id, step=step.name, error=error.message)
                self._give_back(chunk, error.message)
                return False
            except VoicesketchError as error:
                if isinstance(error, LeaseLost):
                    raise
                self._fail(chunk, error.code, error.message, began)
                return True
            except OSError as error:
                if not is_full(error):
                    raise
                self._fail(
                    chunk,
                    "disk_full",
                    "The disk of the worker is full. Make room in its cache folder, then retry.",
                    began,
                )
                return True
        except LeaseLost:
            log.warning("lost", job=chunk.job_id, token=chunk.token)
            return True
        except SQLAlchemyError as error:
            log.warning("no ledger", job=chunk.job_id, error=str(error).splitlines()[0])
            self._give_back(chunk, "The ledger did not answer.")
            return False
        except Exception as error:
            log.exception("unexpected", job=chunk.job_id, step=step.name)
            self._fail(chunk, "internal_error", f"This is a fault of ours: {error!r}", began)
            return True
        finally:
            self.inputs.release()
            self.doing = ""

    def run(
        self,
        chunk: ProgramChunk,
        spec: TrainSpec | EvaluateSpec | AnalyseSpec,
        run: Path,
        request: Mapping[str, Any],
        why_stop: WhyStop,
        *,
        prefix: str = "",
        only_doing: bool = False,
        on_end: Callable[[RunEnd, Telling], None] = lambda end, telling: None,
    ) -> Ran:
        """Runs the program of a spec in a run folder.

        Args:
            prefix, only_doing: see `Telling`.
            on_end: may leave more to be passed on, before what is left is sent.

        Raises:
            LeaseLost: the attempt is over, and the program was killed.
        """
        telling = Telling(self.database, self.store, chunk, run, prefix=prefix, only_doing=only_doing)
        limits = self._limits
        if isinstance(spec, TrainSpec):
            machine = spec.machine
            if machine.wall_hours is not None:
                limits = replace(limits, wall_seconds=machine.wall_hours * 3600)
            if machine.memory_gib is not None:
                limits = replace(limits, memory_bytes=round(machine.memory_gib * 2**30))
        end: RunEnd | None = None
        try:
            (run / "request.json").write_text(json.dumps(request, indent=2) + "\n")
            end = Supervisor(
                [*self._programs[spec.kind], str(run)],
                folder=run,
                environment=environment_of_programs(),
                limits=limits,
                why_stop=lambda: "lost" if telling.lost else why_stop(),
                on_event=lambda event: self._heard(event, telling, spec),
                on_line=telling.line,
            ).run()
            _tell_end(end, telling)
            on_end(end, telling)
        finally:
            self.doing = f"sending what {spec.kind} left"
            all_sent = _send_rest(telling, end, why_stop)
        if telling.lost or end.how == "lost":
            raise LeaseLost()
        return Ran(end, all_sent)

    def request(
        self, spec: TrainSpec | EvaluateSpec | AnalyseSpec, why_stop: WhyStop
    ) -> tuple[dict[str, Any], DatasetVersion, dict[str, ModelVersion]]:
        """What `request.json` says, once everything it names lies on this machine."""
        self.doing = f"fetching {spec.dataset}"
        dataset, folder = self.inputs.dataset(spec.dataset, why_stop)
        self.doing = "fetching models"
        versions, folders = self.inputs.models(model_references(spec), why_stop)
        request = {
            "spec": spec.model_dump(mode="json"),
            "dataset": str(folder),
            "dataset_sha256": dataset.sha256,
            "models": {label: str(path) for label, path in folders.items()},
            "device": self.settings.device,
        }
        return request, dataset, versions

    def end_badly(self, chunk: ProgramChunk, ran: Ran, began: float) -> bool:
        """Publishes the end of a program that did not end well; answers whether its folder is still of use."""
        end = ran.end
        if end.how == "stopped":
            self._give_back(chunk, _SENTENCES[end.why or "leaving"])
            return end.why == "leaving" or not ran.all_sent
        if end.failed is not None and not end.failed.retryable:
            self._fail(chunk, end.failed.code, end.failed.message, began)
            return not ran.all_sent
        reason = end.failed.message if end.failed is not None else end.sentence
        with self.database.write() as session:
            again = give_back_killed(
                session,
                chunk,
                reason=reason,
                max_attempts=self.settings.max_attempts,
                seconds=time.monotonic() - began,
            )
        log.warning("program died", job=chunk.job_id, reason=reason, again=again)
        return True

    def _do(self, chunk: ProgramChunk, folder: Path, why_stop: WhyStop, began: float) -> bool:
        """Does the step; answers whether the run folder is still of use."""
        spec = _SPEC.validate_python(chunk.spec)
        if isinstance(spec, TrainSpec) and chunk.items[0].stage == MODEL:
            from worker.after_training import AfterTraining

            return AfterTraining(self, chunk, spec, folder, why_stop).carry_out(began)
        request, dataset, versions = self.request(spec, why_stop)
        run = folder / "run"
        run.mkdir(exist_ok=True)
        if isinstance(spec, TrainSpec):
            self.doing = "fetching checkpoints"
            self.inputs.restore(chunk.job_id, run, ("checkpoint", "best", "history"), why_stop)

        def leave_result(end: RunEnd, telling: Telling) -> None:
            if end.ended is None:
                return
            result = self._result(chunk, spec, end.ended, dataset, versions)
            (run / RESULT).write_text(json.dumps(result, indent=2) + "\n")
            telling.event(File("result", RESULT))

        self.doing = f"starting {spec.kind} for {chunk.job_id}"
        ran = self.run(chunk, spec, run, request, why_stop, on_end=leave_result)
        if ran.end.ended is None:
            return self.end_badly(chunk, ran, began)
        if not ran.all_sent:
            raise StorageUnavailable("The object store did not take everything that the program left.")
        with self.database.write() as session:
            publish_step(session, chunk, seconds=time.monotonic() - began)
        return isinstance(spec, TrainSpec)

    def _result(
        self,
        chunk: ProgramChunk,
        spec: TrainSpec | EvaluateSpec | AnalyseSpec,
        ended: Ended,
        dataset: DatasetVersion,
        versions: Mapping[str, ModelVersion],
    ) -> dict[str, Any]:
        result = dict(ended.result)
        if isinstance(spec, TrainSpec):
            with self.database.read() as session:
                job = session.get(Job, chunk.job_id)
            named = {field: (version.label, version.sha256) for field, version in versions.items()}
            lineage = describe(
                spec=chunk.spec,
                dataset=(dataset.label, dataset.sha256),
                parent=named.pop("parent", None),
                models=named,
                job=(chunk.job_id, job.name if job is not None else ""),
                training=result,
            )
            return {"outcome": ended.outcome, "training": result, "lineage": lineage}
        if isinstance(spec, EvaluateSpec):
            with self.database.write() as session:
                evaluation = enter_evaluation(
                    session,
                    attempt_id=chunk.attempt_id,
                    version=versions["model"],
                    partner=versions.get("partner"),
                    dataset=dataset,
                    spec=spec,
                    metrics=result.get("metrics", {}),
                )
            self.renew_card(versions["model"])
            return {"evaluation": evaluation.id, **result}
        return result

    def renew_card(self, version: ModelVersion) -> None:
        """Writes what was measured into a model's card."""
        try:
            renew_card(self.database, self.store, version.id)
        except VoicesketchError as error:
            # Cards are for people, and are written anew with every later evaluation.
            log.warning("no card", model=version.label, error=error.message)

    def _heard(self, event: Event, telling: Telling, spec: TrainSpec | EvaluateSpec | AnalyseSpec) -> None:
        telling.event(event)
        if isinstance(event, Progress):
            what = {"train": "training", "evaluate": "evaluating", "analyse": "analysing"}[spec.kind]
            where = f"epoch {event.epoch}/{event.epochs}" if event.epochs else f"{event.step}/{event.steps}"
            self.doing = f"{what} {spec.model} on {spec.dataset}: {where}"

    def _give_back(self, chunk: ProgramChunk, reason: str) -> None:
        try:
            with self.database.write() as session:
                give_back(session, chunk, reason=reason)
            log.info("released", job=chunk.job_id, token=chunk.token, reason=reason)
        except LeaseLost:
            pass  # somebody else has it now
        except SQLAlchemyError as error:
            # The lease runs out, and then it is somebody else's.
            log.warning("not released", job=chunk.job_id, error=str(error).splitlines()[0])

    def _fail(self, chunk: ProgramChunk, code: str, message: str, began: float) -> None:
        try:
            with self.database.write() as session:
                publish_failure(session, chunk, code=code, message=message, seconds=time.monotonic() - began)
        except LeaseLost:
            pass


def _tell_end(end: RunEnd, telling: Telling) -> None:
    if end.how == "died":
        telling.line(end.sentence, "warning")
    elif end.how == "stopped":
        more = "A checkpoint is left." if end.left_checkpoint else "It goes on from its last checkpoint."
        telling.line(f"{_SENTENCES[end.why or 'leaving']} {more}")
    elif end.failed is not None:
        telling.line(end.failed.message, "error")


def _send_rest(telling: Telling, end: RunEnd | None, why_stop: WhyStop) -> bool:
    """Waits until everything is passed on, as long as somebody wants it; answers whether it was."""
    if end is None or end.how == "lost":
        return telling.close(0.0)
    if end.how == "stopped":
        return telling.close(max(1.0, _STOPPING_SECONDS - end.stopping_seconds))
    asked_at: float | None = None

    def give_up() -> bool:
        nonlocal asked_at
        if asked_at is None and why_stop() is not None:
            asked_at = time.monotonic()
        return asked_at is not None and time.monotonic() - asked_at > _STOPPING_SECONDS

    return telling.close(_SENDING_SECONDS, give_up)


def environment_of_programs() -> dict[str, str]:
    """What programs see of ours: neither the ledger, nor the store, nor a password."""
    kept = {
        name: value for name, value in as_before(os.environ).items() if not name.startswith((PREFIX, "AWS_"))
    }
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), kept.get("PYTHONPATH", "")]))
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
