"""What becomes of a trained model: registered, measured, held against production at the gate, and promoted if asked.

Any worker can do it: the model's files come from the store. Done twice, because a worker died in the middle, it makes
the same versions and evaluations once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.claims.chunks import ProgramChunk
from core.errors import InvalidRequest, Permanent, Retryable
from core.ledger.tables import DatasetVersion, ModelVersion
from core.ledger.training_tables import Evaluation
from core.models.evaluations import enter_evaluation
from core.models.gate import Verdict, judge, to_measure_first
from core.models.promotion import promote
from core.models.registry import input_of, pair_models, register_trained, resolve_model
from core.objects import job_file_key
from core.training.program_results import LeftFile, publish_file, publish_step
from core.training.requests import model_references
from core.training.specs import EvaluateSpec, TrainSpec
from worker.program_inputs import WhyStop, dataset_version

if TYPE_CHECKING:
    from worker.program_work import ProgramWork, Ran

_ALONE = "model"  # the role of a network that is the whole model
_RESULT = "result.json"
_TRIES = 5  # a gate whose alias moves all the time is given up


class TrainingMissing(Permanent):
    """The training left no model. Retry it."""

    code = "training_missing"


@dataclass(frozen=True)
class _Registered:
    """What a training made.

    Attributes:
        main: what the training is for: what its job shows, what is measured and promoted.
        partner: measured together with it.
        all: every version, by role.
    """

    main: ModelVersion
    partner: ModelVersion | None
    all: Mapping[str, ModelVersion]


class AfterTraining:
    """One for each step."""

    def __init__(
        self, work: ProgramWork, chunk: ProgramChunk, spec: TrainSpec, folder: Path, why_stop: WhyStop
    ) -> None:
        self._work = work
        self._chunk = chunk
        self._spec = spec
        self._folder = folder
        self._why_stop = why_stop
        self._sentences: list[str] = []

    def carry_out(self, began: float) -> bool:
        """Does the step; answers whether the run folder is still of use."""
        result = self._result_of_training()
        with self._work.database.read() as session:
            dataset = dataset_version(session, self._spec.dataset)
        made = self._register(result, dataset)
        evaluation: Evaluation | None = None
        if self._spec.after.evaluate:
            measured = self._measure(made.main, made.partner, dataset, prefix="")
            if measured is not None and not isinstance(measured, Evaluation):
                return self._work.end_badly(self._chunk, measured, began)
            evaluation = measured
            if evaluation is not None:
                failed = self._measure_rival(made.main, dataset, evaluation)
                if failed is not None:
                    return self._work.end_badly(self._chunk, failed, began)
        self._end(result, made, evaluation, began)
        self._renew_cards(made)
        return False

    def _result_of_training(self) -> dict[str, Any]:
        run = self._folder / "run"
        self._work.doing = "fetching the trained model"
        self._work.inputs.restore(self._chunk.job_id, run, ("model", "result"), self._why_stop)
        try:
            result = json.loads((run / _RESULT).read_text())
        except FileNotFoundError as error:
            raise TrainingMissing() from error
        found: dict[str, Any] = result
        return found

    def _register(self, result: Mapping[str, Any], dataset: DatasetVersion) -> _Registered:
        spec, work = self._spec, self._work
        work.doing = f"registering {spec.model}"
        with work.database.read() as session:
            named = {field: resolve_model(session, label) for field, label in model_references(spec).items()}
        parent = named.get("parent")
        more: dict[str, Any] = {
            "job_id": self._chunk.job_id,
            "parent_id": parent.id if parent is not None else None,
            "dataset_version_id": dataset.id,
        }
        lineage: dict[str, Any] = result.get("lineage", {})
        versions: dict[str, ModelVersion] = {}
        for name, role in result["training"]["model"].items():
            versions[role] = register_trained(
                work.database,
                work.store,
                self._folder / "run" / "model" / name,
                name=spec.model if role == _ALONE else f"{spec.model}-{role}",
                lineage={**lineage, "role": role},
                **more,
            )
        if not versions:
            raise TrainingMissing()
        halves = _halves(spec.recipe.task, named, versions)
        if halves is not None:
            encoder, decoder = halves
            main = pair_models(
                work.database,
                work.store,
                encoder=encoder.label,
                decoder=decoder.label,
                name=spec.model,
                lineage={**lineage, "role": "pair"},
                **more,
            )
            return _Registered(main, None, {**versions, "pair": main})
        main = versions.get(_ALONE) or versions.get("voice") or next(iter(versions.values()))
        return _Registered(main, versions.get("face") if main is versions.get("voice") else None, versions)

    def _measure(
        self, version: ModelVersion, partner: ModelVersion | None, dataset: DatasetVersion, *, prefix: str
    ) -> Evaluation | Ran | None:
        """The evaluation of a version, or how the program ended instead; None where none is possible."""
        if input_of(version) is None and partner is None:
            self._sentences.append(f"{version.label} draws nothing by itself, so it was not measured.")
            return None
        spec = self._conditions(version, partner)
        request, _, _ = self._work.request(spec, self._why_stop)
        run = self._folder / (prefix.rstrip("/") or "evaluation")
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        ran = self._work.run(self._chunk, spec, run, request, self._why_stop, prefix=prefix, only_doing=True)
        if ran.end.ended is None:
            return ran
        with self._work.database.write() as session:
            return enter_evaluation(
                session,
                attempt_id=self._chunk.attempt_id,
                version=version,
                partner=partner,
                dataset=dataset,
                spec=spec,
                metrics=ran.end.ended.result.get("metrics", {}),
            )

    def _measure_rival(
        self, candidate: ModelVersion, dataset: DatasetVersion, evaluation: Evaluation
    ) -> Ran | None:
        """Measures what the candidate is held against, where nobody has; answers an end that ends this step, too."""
        gate = self._spec.after.gate
        if gate is None:
            return None
        with self._work.database.read() as session:
            rival = to_measure_first(
                session, candidate, gate, dataset=dataset, spec_sha256=evaluation.spec_sha256
            )
        if rival is None:
            return None
        measured = self._measure(rival, None, dataset, prefix="production/")
        if isinstance(measured, Evaluation):
            self._work.renew_card(rival)
            return None
        if measured is None:
            return None
        if measured.end.how == "failed" and measured.end.failed is not None:
            # The new model is not at fault: the gate says that there is nothing to compare with.
            self._sentences.append(f"{rival.label} could not be measured: {measured.end.failed.message}")
            return None
        return measured

    def _conditions(self, version: ModelVersion, partner: ModelVersion | None) -> EvaluateSpec:
        return EvaluateSpec(
            model=version.label,
            partner=partner.label if partner is not None else None,
            dataset=self._spec.dataset,
            split=self._spec.after.split,
        )

    def _end(
        self, result: Mapping[str, Any], made: _Registered, evaluation: Evaluation | None, began: float
    ) -> None:
        """Judges, promotes, and ends the step, all in one transaction."""
        chunk, work = self._chunk, self._work
        may_promote = self._spec.after.promote
        for _ in range(_TRIES):
            verdict = self._judge(made.main, evaluation)
            promotes = may_promote and verdict is not None and verdict.passed
            content = self._content(result, made, evaluation, verdict, promotes)
            sha256 = hashlib.sha256(content).hexdigest()
            key = job_file_key(chunk.job_id, sha256)
            work.store.put(key, content, "application/json")
            file = LeftFile(_RESULT, "result", key, "application/json", len(content), sha256)
            try:
                with work.database.write() as session:
                    publish_file(session, chunk, file)
                    if self._spec.after.gate is not None:
                        again = judge(session, made.main, self._spec.after.gate, evaluation)
                        if again != verdict:
                            raise _GateMoved
                        if promotes:
                            promote(
                                session,
                                self._spec.after.gate.alias,
                                made.main,
                                actor=chunk.job_id,
                                reason=again.sentence,
                            )
                    publish_step(
                        session,
                        chunk,
                        seconds=time.monotonic() - began,
                        model_version_id=made.main.id,
                    )
                return
            except _GateMoved:
                continue
            except InvalidRequest as error:
                if not may_promote:
                    raise
                may_promote = False
                self._sentences.append(f"It was not promoted: {error.message}")
        raise AliasMoves()

    def _judge(self, candidate: ModelVersion, evaluation: Evaluation | None) -> Verdict | None:
        if self._spec.after.gate is None:
            return None
        with self._work.database.read() as session:
            return judge(session, candidate, self._spec.after.gate, evaluation)

    def _content(
        self,
        result: Mapping[str, Any],
        made: _Registered,
        evaluation: Evaluation | None,
        verdict: Verdict | None,
        promotes: bool,
    ) -> bytes:
        told = {
            **result,
            "version": made.main.label,
            "versions": {role: version.label for role, version in made.all.items()},
            "evaluation": evaluation.id if evaluation is not None else None,
            "metrics": evaluation.metrics if evaluation is not None else {},
            "gate": verdict.to_dict() if verdict is not None else None,
            "promoted": promotes,
            "notes": self._sentences,
        }
        return (json.dumps(told, indent=2) + "\n").encode()

    def _renew_cards(self, made: _Registered) -> None:
        for version in made.all.values():
            self._work.renew_card(version)


class _GateMoved(Exception):
    """The alias moved between judging and writing."""


class AliasMoves(Retryable):
    """The alias of the gate moves all the time; this is tried again later."""

    code = "alias_moves"


def _halves(
    task: str, named: Mapping[str, ModelVersion], made: Mapping[str, ModelVersion]
) -> tuple[ModelVersion, ModelVersion] | None:
    """The encoder and the decoder of the pair that a training leads to; None where it leads to none."""
    halves = {
        "face_decoder": (named.get("face_encoder"), made.get("decoder")),
        "ve_conv": (made.get("encoder"), named.get("face_decoder")),
        "ast": (made.get("encoder"), named.get("face_decoder")),
        "gan": (named.get("voice_encoder"), made.get("generator")),
    }.get(task, (None, None))
    encoder, decoder = halves
    return (encoder, decoder) if encoder is not None and decoder is not None else None
