"""A shard of a dataset prepared: inputs are read and decoded in threads, features made on the device.

Reading, computing and writing overlap. What is written depends on the inputs, the recipe and the kind of device alone:
batches hold the same neighbours every time, and nothing tells when or where it was made. An input that cannot be used
is left out and named; only trouble of the surroundings ends a shard.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import torch

from core.datasets.plan import Shard
from core.datasets.recipes import Recipe
from worker.dataset_assembly import AssembledDataset, assemble
from worker.dataset_inputs import Changed, Fetch, Input, InputReader, wants_landmarks
from worker.inputs import Decode, read_input
from worker.ml.devices import choose_device
from worker.ml.errors import ModelError
from worker.ml.face_finder import FaceFinder
from worker.ml.networks.pretrained import Encoder
from worker.ml.preparation.faces import EMBEDDING, LANDMARKS, FaceCutter
from worker.ml.preparation.shards import NOTES, ShardWriter, canonical_json
from worker.ml.preparation.statistics import FrameSums, without_padding
from worker.ml.preparation.voices import AST, VoiceFeatures

__all__ = ["AssembledDataset", "Changed", "Fetch", "PreparedShard", "Preparer", "assemble"]

BATCH = 16  # computed together on a GPU, or embedded together; batch mates are the same every time
AT_ONCE = (
    4  # inputs that a thread reads before it hands them over: waking others costs as much as some of the work
)
PENDING_BATCHES = 2  # computed and waiting to be written; bounds memory


@dataclass(frozen=True)
class PreparedShard:
    """A shard on disk, and what is to be known of it.

    Attributes:
        number: of the shard.
        tar: the file; it has its name only once it is whole.
        sha256, size_bytes: of the file.
        sidecar: canonical JSON: index lines, rejects and sums for the dataset as a whole; see docs/datasets.md.
        kept, rejected: entries.
    """

    number: int
    tar: Path
    sha256: str
    size_bytes: int
    sidecar: bytes
    kept: int
    rejected: int


class Preparer:
    """Prepares shards by a recipe. One at a time; keeps what is costly to load."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        device: str = "auto",
        face_encoder: Encoder | None = None,
        threads: int | None = None,
        decode: Decode = read_input,
    ) -> None:
        """
        Args:
            device: where features are computed.
            face_encoder: makes embeddings of pictures, where the recipe asks for them.
            threads: that read and decode.
            decode: reads recordings and pictures; those of strangers where they can do no harm.

        Raises:
            ModelError: `device_not_found`.
        """
        self._recipe = recipe
        self._encoder = face_encoder
        self._decode = decode
        self._threads = threads or max(2, min(16, os.cpu_count() or 2))
        self._voice: VoiceFeatures | None = None
        if recipe.voice is not None:
            self._voice = VoiceFeatures(
                recipe.voice.features, recipe.voice.waveform_seconds, choose_device(device)
            )
        # Where nothing is computed together, what is read is written soon: at a shard's end everybody waits for that.
        alone = (self._voice is None or self._voice.one_by_one) and face_encoder is None
        self._batch = AT_ONCE if alone else BATCH
        self._finder: FaceFinder | None = None

    def prepare(
        self, shard: Shard, fetch: Fetch, folder: Path, watch: Callable[[int], None] | None = None
    ) -> PreparedShard:
        """Prepare one shard.

        Args:
            fetch: `fetch(key, source)` is the content of an input; called from several threads. It raises OSError,
                `Changed`, or errors of `core`, of which those about a missing or too large object leave out the input
                and all others end the shard.
            folder: where the tar file is put, as `<number, 5 digits>.tar`.
            watch: told now and then how many entries are through, from the calling thread.

        Raises:
            ModelError: what the recipe needs is not there: dlib, or an encoder of faces.
            OSError: the folder cannot be written.
        """
        reader = InputReader(self._recipe, self._voice, self._cutter(shard), self._encoder, self._decode)
        first = shard.number * self._recipe.shard_entries
        tar = folder / f"{shard.number:05d}.tar"
        account = _Account(shard)
        inputs = _ahead(
            lambda at: reader.read(first + at, shard.entries[at], fetch),
            len(shard.entries),
            self._readers,
            2 * BATCH + self._threads,
        )
        with (
            ShardWriter(tar) as writer,
            ThreadPoolExecutor(1, thread_name_prefix="write") as writing,
            closing(inputs),
        ):
            pending: deque[Future[None]] = deque()
            for batch in _batches(inputs, self._batch):
                self._compute(batch)
                pending.append(writing.submit(account.write, batch, writer))
                while len(pending) > PENDING_BATCHES:
                    pending.popleft().result()
                if watch is not None:
                    watch(batch[-1].number - first + 1)
            for written in pending:
                written.result()
        sidecar = account.sidecar(writer, self._encoder)
        return PreparedShard(
            shard.number,
            tar,
            writer.sha256,
            writer.size_bytes,
            sidecar,
            len(account.entries),
            len(account.rejects),
        )

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        """Threads that read and decode, and on a CPU compute, each with one core: operators that share out the work on
        one clip spend most of their time waiting for each other.
        """
        ours = torch.get_num_threads()
        started = Barrier(self._threads + 1)
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="read", initializer=_use_one_core)
        for _ in range(self._threads):
            pool.submit(started.wait)
        started.wait()
        torch.set_num_threads(ours)  # the number was also that of threads yet to come
        return pool

    def _cutter(self, shard: Shard) -> FaceCutter | None:
        """What cuts pictures, with a finder of faces only where one is needed: it takes half a second to load."""
        recipe = self._recipe.face
        if recipe is None:
            return None
        pictures = [entry for entry in shard.entries if entry.form == "picture"]
        to_embed = any(EMBEDDING not in entry.companions for entry in pictures)
        if EMBEDDING in recipe.outputs and self._encoder is None and to_embed:
            raise ModelError(
                "model_not_found",
                "The recipe makes embeddings, but there is no encoder of faces. Name one in the recipe.",
            )
        searched = recipe.crop != "none" or any(wants_landmarks(recipe, entry) for entry in pictures)
        if pictures and searched and self._finder is None:
            self._finder = FaceFinder()
        return FaceCutter(recipe.crop, recipe.size, recipe.several, LANDMARKS in recipe.outputs, self._finder)

    def _compute(self, batch: Sequence[Input]) -> None:
        """Features and embeddings of a batch, put with its members."""
        heard = [(one, one.waveform) for one in batch if one.waveform is not None]
        if heard and self._voice is not None:
            every = self._voice.of([waveform for _, waveform in heard])
            for (one, _), features in zip(heard, every, strict=True):
                one.members |= features
                one.waveform = None
        seen = [(one, one.to_embed) for one in batch if one.to_embed is not None]
        if seen and self._encoder is not None:
            embeddings = self._encoder.encode([rgb for _, rgb in seen]).float().cpu().numpy()
            for (one, _), embedding in zip(seen, embeddings, strict=True):
                one.members[EMBEDDING] = embedding
                one.to_embed = None


class _Account:
    """Writes entries and keeps the books of one shard."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.entries: list[dict[str, Any]] = []
        self.rejects: list[dict[str, str]] = []
        self._loudness: list[tuple[int, float]] = []
        self._sums: list[tuple[int, int, int, float, float]] = []
        self._features: dict[str, dict[str, Any]] = {}

    def write(self, batch: Sequence[Input], writer: ShardWriter) -> None:
        for one in batch:
            if one.reject is not None:
                reason, message = one.reject
                self.rejects.append({"key": one.entry.key, "reason": reason, "message": message})
            else:
                self._keep(one, writer)

    def _keep(self, one: Input, writer: ShardWriter) -> None:
        entry, split = one.entry, self._shard.split
        known = {
            "number": one.number,
            "key": entry.key,
            "person": entry.person,
            "side": entry.side,
            "split": split,
            "sha256": one.sha256,
        }
        places: dict[str, tuple[int, int]] = {}
        for what, content in one.members.items():
            if isinstance(content, bytes):
                places[what] = writer.add_bytes(one.number, what, content)
                continue
            places[what] = writer.add_array(one.number, what, content)
            shape = [None] if what == "waveform" else list(content.shape)
            self._features[what] = {"dtype": content.dtype.name, "shape": shape}
        places[NOTES] = writer.add_bytes(one.number, NOTES, canonical_json({**known, **one.notes}))
        ast = one.members.get(AST)
        if isinstance(ast, np.ndarray):
            sums = FrameSums.of(without_padding(ast) if entry.form == "array" else ast)
            self._sums.append((one.number, sums.frames, sums.values, sums.total, sums.squares))
        if "loudness_dbfs" in one.notes:
            self._loudness.append((one.number, one.notes["loudness_dbfs"]))
        self.entries.append(
            {
                **known,
                "shard": self._shard.number,
                "members": places,
                "duration_seconds": one.notes.get("duration_seconds"),
            }
        )

    def sidecar(self, writer: ShardWriter, encoder: Encoder | None) -> bytes:
        """Everything that is to be known of the shard when datasets are put together."""
        made = encoder is not None and EMBEDDING in self._features
        return canonical_json(
            {
                "number": self._shard.number,
                "split": self._shard.split,
                "sha256": writer.sha256,
                "size_bytes": writer.size_bytes,
                "entries": self.entries,
                "rejects": self.rejects,
                "features": self._features,
                "face_encoder": _named(encoder) if made and encoder is not None else None,
                "statistics": {"ast": self._sums, "loudness_dbfs": self._loudness},
            }
        )


def _use_one_core() -> None:
    """Of this thread's operators alone, whatever number is set for others later."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread takes over the number for all when it is first asked for its own


def _named(encoder: Encoder) -> dict[str, str]:
    return {
        "version": encoder.identity.version,
        "weights_sha256": encoder.identity.weights_sha256,
        "embedding_space": encoder.embedding_space,
    }


def _ahead(
    read: Callable[[int], Input], count: int, threads: ThreadPoolExecutor, ahead: int
) -> Generator[Input, None, None]:
    """Read in threads, in order, never more than about `ahead` inputs before they are asked for."""

    def read_few(first: int) -> list[Input]:
        return [read(at) for at in range(first, min(first + AT_ONCE, count))]

    waiting: deque[Future[list[Input]]] = deque()
    try:
        for first in range(0, count, AT_ONCE):
            waiting.append(threads.submit(read_few, first))
            if len(waiting) * AT_ONCE > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for few in waiting:
            few.cancel()
        wait(waiting)  # nobody may go on reading for a shard that is given up


def _batches(inputs: Iterator[Input], size: int) -> Iterator[list[Input]]:
    batch: list[Input] = []
    for one in inputs:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
