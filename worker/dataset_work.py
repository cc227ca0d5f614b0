"""Carries out claimed steps of a preparation: makes shards, and in the end the dataset version made of them.

Shards are kept under the name of their content, so that two workers that made the same one (the first was thought
dead) put the same bytes in the same place; which of them counts is for the fenced commit to say.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from core.claims.chunks import ClaimedStep, PrepareChunk
from core.claims.leases import release
from core.datasets.plan import Plan, Shard
from core.datasets.preparing import (
    VERSION,
    DatasetMade,
    PreparationOutcome,
    ShardMade,
    StepFailed,
    publish_preparation,
    shard_of_inputs,
    shards_of,
)
from core.errors import LeaseLost, NotFound, Retryable
from core.ledger.database import Database
from core.models.registry import resolve_model
from core.objects import (
    dataset_file_key,
    dataset_plan_key,
    dataset_shard_key,
    dataset_sidecar_key,
    recording_key,
)
from core.store import Store
from worker.decoding.decoders import Decoders
from worker.ml.device_failures import is_lost_device, is_out_of_memory
from worker.ml.errors import MediaError
from worker.models import Models
from worker.shortage import DeviceLost, shortage_told

if TYPE_CHECKING:
    from worker.ml.networks.pretrained import Encoder
    from worker.preparation import AssembledDataset, Preparer

log = structlog.get_logger()

_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".png": "image/png",
}
# Reasons of rejects that say nothing about the input itself: it may well be there the next time.
_MAY_COME_BACK = frozenset({"changed_while_read", "unreadable_file"})


class _Stopped(Exception):
    """In the middle of a shard, for a reason that is not the shard's."""


class DatasetWork:
    """One per process; used from one thread at a time. Keeps the plan and the networks of the job it last saw."""

    def __init__(
        self, database: Database, store: Store, models: Models, device: str, decoders: Decoders
    ) -> None:
        self._database = database
        self._store = store
        self._models = models
        self._device = device
        self._decoders = decoders
        self._plan: Plan | None = None
        self._plan_sha256 = ""
        # Of the plan: cutting it anew for each shard would cost more the larger it is.
        self._shards: list[Shard] = []
        self._preparer: Preparer | None = None

    def carry_out(
        self, chunk: PrepareChunk, why_stop: Callable[[], str | None], moved: Callable[[str], None]
    ) -> bool:
        """Works through a chunk, step by step, and publishes each.

        Args:
            why_stop: asked before every step, and now and then within one; a reason gives the rest of the chunk back.
            moved: told what is being done.

        Returns:
            False when what surrounds us failed and the rest was given back.

        Raises:
            DeviceLost: this process can compute nothing more; the rest was given back.
        """
        for step in chunk.items:
            moved(f"preparing {step.name} of {chunk.dataset}")
            reason = why_stop()
            if reason is not None:
                self._give_back(chunk, reason)
                return True

            def watch(done: int, name: str = step.name) -> None:
                moved(f"preparing {name}: {done} done")
                if (reason := why_stop()) is not None:
                    raise _Stopped(reason)

            try:
                with shortage_told():
                    outcome = self._do(chunk, step, watch)
            except _Stopped as stopped:
                self._give_back(chunk, str(stopped))
                return True
            except Retryable as error:
                log.warning("gives back", job=chunk.job_id, step=step.name, error=error.message)
                self._give_back(chunk, error.message)
                if isinstance(error, DeviceLost):
                    raise  # for whoever ends this process
                return False
            try:
                with self._database.write() as session:
                    publish_preparation(session, chunk, [outcome])
            except LeaseLost:
                log.warning("lost", job=chunk.job_id, token=chunk.token)
                return True
        return True

    def _do(self, chunk: PrepareChunk, step: ClaimedStep, watch: Callable[[int], None]) -> PreparationOutcome:
        began = time.monotonic()
        try:
            plan = self._open(chunk.plan_sha256)
            if step.stage == VERSION:
                return self._make_version(chunk, step, plan, began)
            return self._make_shard(step, plan, began, watch)
        except (Retryable, _Stopped):
            raise
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error) or is_lost_device(error):
                raise
            return self._unforeseen(chunk, step, error, began)
        except (MediaError, NotFound) as error:
            return StepFailed(step.id, error.code, error.message, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - it is logged and told there
            return self._unforeseen(chunk, step, error, began)

    def _unforeseen(
        self, chunk: PrepareChunk, step: ClaimedStep, error: Exception, began: float
    ) -> StepFailed:
        log.error("unexpected", job=chunk.job_id, step=step.name, exc_info=error)
        message = f"This is a fault of ours: {error!r}"
        return StepFailed(step.id, "internal_error", message, time.monotonic() - began)

    def _open(self, plan_sha256: str) -> Plan:
        if self._plan is None or self._plan_sha256 != plan_sha256:
            self._preparer = None
            self._plan = Plan.from_bytes(self._store.get(dataset_plan_key(plan_sha256)))
            self._plan_sha256 = plan_sha256
            self._shards = self._plan.shards()
        return self._plan

    def _make_shard(
        self, step: ClaimedStep, plan: Plan, began: float, watch: Callable[[int], None]
    ) -> ShardMade:
        shard = self._shards[step.position]
        inputs_sha256 = shard.inputs_sha256(plan.recipe)
        known = self._made_before(step, inputs_sha256, began)
        if known is not None:
            return known
        from worker.preparation import Preparer

        if self._preparer is None:
            self._preparer = Preparer(
                plan.recipe,
                device=self._device,
                face_encoder=self._face_encoder(plan),
                decode=self._decoders.decode,
            )
        with tempfile.TemporaryDirectory(prefix="voicesketch-") as folder:
            made = self._preparer.prepare(shard, self._fetch, Path(folder), watch)
            with made.tar.open("rb") as file:
                self._store.put_file(dataset_shard_key(made.sha256), file, "application/x-tar")
        self._store.put(dataset_sidecar_key(made.sha256), made.sidecar, "application/json")
        return ShardMade(
            item_id=step.id,
            number=shard.number,
            sha256=made.sha256,
            size_bytes=made.size_bytes,
            kept=made.kept,
            rejected=made.rejected,
            seconds=time.monotonic() - began,
            inputs_sha256=inputs_sha256,
        )

    def _made_before(self, step: ClaimedStep, inputs_sha256: str, began: float) -> ShardMade | None:
        """The shard that was made of these very inputs, where it still lies in the store and has all of them."""
        with self._database.read() as session:
            known = shard_of_inputs(session, inputs_sha256)
        if known is None:
            return None
        try:
            if self._store.size(dataset_shard_key(known.sha256)) != known.size_bytes:
                return None
            sidecar = json.loads(self._store.get(dataset_sidecar_key(known.sha256)))
        except NotFound:
            return None
        if any(one["reason"] in _MAY_COME_BACK for one in sidecar["rejects"]):
            return None
        return ShardMade(
            item_id=step.id,
            number=known.number,
            sha256=known.sha256,
            size_bytes=known.size_bytes,
            kept=known.kept,
            rejected=known.rejected,
            seconds=time.monotonic() - began,
            inputs_sha256=inputs_sha256,
            is_new=False,
        )

    def _make_version(
        self, chunk: PrepareChunk, step: ClaimedStep, plan: Plan, began: float
    ) -> DatasetMade | StepFailed:
        from worker.preparation import assemble

        with self._database.read() as session:
            shards = shards_of(session, chunk.job_id)
        wanted = len(self._shards)
        if len(shards) != wanted:
            message = f"{wanted - len(shards)} of {wanted} parts could not be made. Look at their errors, then retry."
            return StepFailed(step.id, "parts_missing", message, time.monotonic() - began)
        made = assemble(plan, [self._store.get(dataset_sidecar_key(shard.sha256)) for shard in shards])
        if not made.summary["entries"]:
            return StepFailed(step.id, "nothing_kept", _why_nothing(made), time.monotonic() - began)
        files = []
        for name, content in made.files.items():
            media_type = _MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
            stored = self._store.put(dataset_file_key(made.sha256, name), content, media_type)
            files.append(
                {
                    "name": name,
                    "key": stored.object_key,
                    "sha256": stored.sha256,
                    "size_bytes": stored.size_bytes,
                }
            )
        for shard in shards:
            files.append(
                {
                    "name": f"shards/{shard.number:05d}.tar",
                    "key": dataset_shard_key(shard.sha256),
                    "sha256": shard.sha256,
                    "size_bytes": shard.size_bytes,
                }
            )
        return DatasetMade(
            item_id=step.id,
            sha256=made.sha256,
            files=files,
            summary=made.summary,
            seconds=time.monotonic() - began,
        )

    def _face_encoder(self, plan: Plan) -> Encoder | None:
        face = plan.recipe.face
        if face is None or face.encoder is None:
            return None
        with self._database.read() as session:
            version = resolve_model(session, face.encoder)
        return self._models.face_encoder(version.id)

    def _fetch(self, key: str, source: str | None) -> bytes:
        if source is None:
            raise FileNotFoundError(f"{key} was never sent")
        try:
            return self._store.get(recording_key(source))
        except NotFound as error:
            raise FileNotFoundError(f"{key} is no longer in the object store") from error

    def _give_back(self, chunk: PrepareChunk, reason: str) -> None:
        try:
            with self._database.write() as session:
                given_back = release(session, chunk.attempt_id, reason=reason)
            log.info("released", job=chunk.job_id, token=chunk.token, items=given_back, reason=reason)
        except LeaseLost:
            pass  # somebody else has it now


def _why_nothing(made: AssembledDataset) -> str:
    """A sentence with the reasons, most frequent first, each with one of its inputs."""
    rejects = json.loads(made.files["report.json"])["rejects"]
    counts = Counter(one["reason"] for one in rejects)
    examples = {one["reason"]: one for one in reversed(rejects)}
    told = [
        f"{count} {reason} (such as {examples[reason]['key']}: {examples[reason]['message']})"
        for reason, count in counts.most_common(3)
    ]
    return f"Nothing could be kept: {'; '.join(told)}"
