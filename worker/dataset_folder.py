"""A folder that a dataset is prepared into, shard by shard, by a process that may be killed at any moment.

What is whole is taken over by the next run, as long as its inputs look as they did. `dataset.json` is written last, so
that a folder that has one is complete.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from core.datasets.plan import Plan, Shard
from core.datasets.recipes import Recipe
from core.errors import InvalidRequest
from core.progress import Progress
from worker.dataset_assembly import DATASET, AssembledDataset, assemble
from worker.dataset_inputs import Changed
from worker.ml.errors import ModelError
from worker.ml.networks.catalogue import load_network
from worker.ml.networks.pretrained import Encoder
from worker.ml.weight_files import file_sha256
from worker.preparation import Preparer

PLAN, SHARDS, MEMORY = "plan.jsonl", "shards", ".progress"
LARGEST_INPUT = 2**30  # bytes; inputs are held in memory, a few at a time


class InputFolder:
    """Reads inputs where they lie, and notices when they change meanwhile."""

    def __init__(self, root: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> None:
        self._root, self._read = root, read

    def fetch(self, key: str, source: str | None = None) -> bytes:
        """The content of an input.

        Raises:
            Changed: its size or time is another after reading than before.
            OSError: it cannot be read.
        """
        path = self._root / key
        before = path.stat()
        if before.st_size > LARGEST_INPUT:
            raise OSError(errno.EFBIG, "it is larger than 1 GiB")
        content = self._read(path)
        after = path.stat()
        same = (before.st_ino, before.st_size, before.st_mtime_ns) == (
            after.st_ino,
            after.st_size,
            after.st_mtime_ns,
        )
        if not same or len(content) != after.st_size:
            raise Changed
        return content

    def state(self, shard: Shard) -> list[list[object]]:
        """What would change if an input of the shard were changed: sizes and times."""
        keys = [entry.key for entry in shard.entries]
        keys += [key for entry in shard.entries for key, _ in entry.companions.values()]
        states: list[list[object]] = []
        for key in keys:
            try:
                status = (self._root / key).stat()
                states.append([key, status.st_size, status.st_mtime_ns])
            except OSError:
                states.append([key, None, None])
        return states


def prepare_folder(
    plan: Plan,
    root: Path,
    out: Path,
    progress: Progress,
    *,
    device: str = "auto",
    face_encoder: Path | None = None,
) -> AssembledDataset:
    """Carry out a plan into a folder, or go on with it.

    Args:
        root: where the keys of the plan begin.
        face_encoder: folder of the network that makes embeddings.

    Raises:
        InvalidRequest: the folder holds another dataset, or is being written by another process.
        ModelError: what the recipe needs is not there.
        OSError: the folder cannot be written. What is whole stays.
    """
    with _claimed(out, plan):
        inputs = InputFolder(root)
        shards = plan.shards()
        total = sum(len(shard.entries) for shard in shards)
        preparer: Preparer | None = None
        sidecars: list[bytes] = []
        done = 0
        for shard in shards:
            sidecar = _whole(out, shard, inputs)
            if sidecar is None:
                (out / DATASET).unlink(missing_ok=True)  # until the end, the folder is not complete
                preparer = preparer or _preparer(plan.recipe, device, face_encoder)
                watch = partial(_watch, progress, done, total)
                sidecar = _prepare(preparer, shard, inputs, out, watch)
            sidecars.append(sidecar)
            done += len(shard.entries)
            progress.step("preparing", done, total)
        assembled = assemble(plan, sidecars)
        # The description comes last: a folder that has one is complete, and not empty.
        files = assembled.files if assembled.summary["entries"] else assembled.files.keys() - {DATASET}
        for name in sorted(files, key=lambda name: name == DATASET):
            (out / name).parent.mkdir(exist_ok=True)
            _write(out / name, assembled.files[name])
        return assembled


def _preparer(recipe: Recipe, device: str, face_encoder: Path | None) -> Preparer:
    encoder: Encoder | None = None
    if face_encoder is not None and face_encoder.is_dir():
        network = load_network(face_encoder, device)
        if not isinstance(network, Encoder) or network.input != "face":
            raise ModelError("models_do_not_fit", f"{network.identity.version} does not encode faces.")
        encoder = network
    return Preparer(recipe, device=device, face_encoder=encoder)


def _watch(progress: Progress, before: int, total: int, through: int) -> None:
    progress.step("preparing", before + through, total)


@contextmanager
def _claimed(out: Path, plan: Plan) -> Iterator[None]:
    """The folder is for this plan and for this process."""
    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    (out / MEMORY).mkdir(exist_ok=True)
    with (out / MEMORY / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            raise InvalidRequest(f"Another process is preparing into {out}. Wait for it to end.") from failure
        content = plan.to_bytes()
        path = out / PLAN
        if path.is_file() and path.read_bytes() != content:
            raise InvalidRequest(
                f"{out} holds a dataset of other inputs or of another recipe. Choose another folder, or remove it."
            )
        if not path.is_file():
            _write(path, content)
        yield


def _prepare(
    preparer: Preparer, shard: Shard, inputs: InputFolder, out: Path, watch: Callable[[int], None]
) -> bytes:
    sidecar, memory = _beside(out, shard)
    for stale in (memory, sidecar):
        stale.unlink(missing_ok=True)
    state = inputs.state(shard)  # from before: what changes while it is read will not look the same next time
    prepared = preparer.prepare(shard, inputs.fetch, out / SHARDS, watch)
    _write(sidecar, prepared.sidecar)
    _write(memory, json.dumps({"inputs": state, "sidecar": _sha256(prepared.sidecar)}).encode())
    return prepared.sidecar


def _whole(out: Path, shard: Shard, inputs: InputFolder) -> bytes | None:
    """The sidecar of a shard that an earlier run finished, if it is undamaged and of the inputs as they are."""
    sidecar, memory = _beside(out, shard)
    try:
        content = sidecar.read_bytes()
        known, remembered = json.loads(content), json.loads(memory.read_bytes())
        is_whole = (
            remembered == {"inputs": inputs.state(shard), "sidecar": _sha256(content)}
            and file_sha256(sidecar.with_suffix(".tar")) == known["sha256"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if is_whole else None


def _beside(out: Path, shard: Shard) -> tuple[Path, Path]:
    """The sidecar, and what the next run is to know of the inputs."""
    name = f"{shard.number:05d}.json"
    return out / SHARDS / name, out / MEMORY / name


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
