"""Drawing through the real queue and store: a house with the models in it, and jobs on the clock."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import soundfile
from sqlalchemy import select

from benchmarks.bulk import CHECKOUT
from benchmarks.memory import PeakMemory, process_trees
from core.cli.model_folders import largest_file, send_folder
from core.client_views import JobView
from core.config import Settings, load_settings
from core.ledger.tables import Job, ModelVersion
from core.models.registry import fetch_model
from core.specs import NewItem
from core.states import JOB_FINAL
from core.store import Store
from tests.end_to_end.house import House, audit

PATIENCE_SECONDS = 3600.0
_LOOK_SECONDS = 0.05
_PROGRAMS = ("worker", "seaweedfs", "valkey", "ticker", "dashboard")


class Place:
    """A running house, with models by name and recordings that were sent.

    Attributes:
        environment: of the worker of the house.
        settings: what that comes to.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.environment = psutil.Process(house.running.record().children["worker"].pid).environ()
        self.settings: Settings = load_settings(self.environment)
        self.store = Store(self.settings)
        self._recordings: dict[Path, str] = {}
        self._seeds = 0

    def bring_in(self, kind: str) -> None:
        """A pair of this kind of voice encoder and a FaceDecoder, through the real import of checkpoints."""
        known = {model.label.rpartition("@")[0] for model in self._house.client.models()}
        if kind in known or kind == "default":
            return
        with tempfile.TemporaryDirectory(prefix="voicesketch-weights-") as folder:
            run("benchmarks.infer_weights", folder, kind, "face_decoder")
            for part in (kind, "face_decoder"):
                name = f"{part}-part"
                if name in known:
                    continue
                made, checkpoint = Path(folder) / name, Path(folder) / f"{part}.pt"
                run(
                    "worker.import_weights", str(checkpoint), "--as", part, "--name", name, "--out", str(made)
                )
                checkpoint.unlink()
                client = self._house.client
                send_folder(client, made, name, largest_file(client), lambda done, total: None)
        self._house.client.pair_models(kind, encoder=f"{kind}-part", decoder="face_decoder-part")

    def send(self, files: Sequence[Path]) -> list[str]:
        """Sends recordings once; answers their hashes."""
        for file in files:
            if file not in self._recordings:
                with file.open("rb") as content:
                    self._recordings[file] = self._house.client.send_recording(content)
        return [self._recordings[file] for file in files]

    def model(self, name: str) -> tuple[str, Path]:
        """The id of a model's newest version, and its folder on this machine."""
        with self._house.ledger() as database:
            with database.read() as session:
                version = session.scalars(
                    select(ModelVersion)
                    .where(ModelVersion.name == name)
                    .order_by(ModelVersion.version.desc())
                    .limit(1)
                ).one()
            return version.id, fetch_model(
                self.store, version, self.settings.cache_folder.expanduser() / "models"
            )

    def draw(self, model: str, hashes: Sequence[str]) -> dict[str, float]:
        """One job over these recordings, none of which has a face yet by its seed.

        Returns:
            Faces a second from the request that makes the job to the row that says it ended; `first_ms` until its
            first face is published; milliseconds of a core a face, of each program of the house; `peak_mib`.
        """
        self._seeds += 1
        items = [NewItem(key=f"{n}", name=f"{n}", recording=one) for n, one in enumerate(hashes)]
        children = self._house.running.record().children
        pids = {name: children[name].pid for name in _PROGRAMS}
        before = {name: core_seconds(pid) for name, pid in pids.items()}
        with self._house.ledger() as database, PeakMemory([self._house.running.supervisor.pid]) as memory:
            began = time.monotonic()
            job: JobView = self._house.client.create_job(
                items, idempotency_key=uuid.uuid4().hex, model=model, seed=self._seeds
            )
            first = 0.0
            while True:
                with database.read() as session:
                    state, done = session.execute(select(Job.state, Job.done).where(Job.id == job.id)).one()
                now = time.monotonic() - began
                if done and not first:
                    first = now
                if state in JOB_FINAL:
                    break
                if now > PATIENCE_SECONDS:
                    raise SystemExit(f"A job of {len(items)} recordings did not end within {now:.0f} s.")
                time.sleep(_LOOK_SECONDS)
            found = audit(database, job.id)
            if not (
                found.each_ended_once and found.with_face == len(items) and found.states["done"] == len(items)
            ):
                raise SystemExit(f"The run is not worth a number: {found.states} of {len(items)} items.")
        told = {
            "per_second": len(items) / now,
            "first_ms": 1000 * first,
            "peak_mib": memory.peak_bytes / 2**20,
        }
        for name, pid in pids.items():
            told[f"core_ms_{name}"] = 1000 * (core_seconds(pid) - before[name]) / len(items)
        return told


def core_seconds(root: int) -> float:
    """Processor time that a process and all below it have taken so far."""
    spent = 0.0
    for pid in process_trees([root]):
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        spent += times.user + times.system
    return spent


def run(module: str, *arguments: str) -> None:
    """A program of ours, to its end."""
    subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL
    )


def write_copies(files: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """So many recordings of the same sounds, no two alike: further copies differ in one sample by one step."""
    copies: list[Path] = []
    for number in range(count):
        samples, rate = soundfile.read(files[number % len(files)], dtype="int16", always_2d=True)
        samples[number // len(files), 0] ^= np.int16(number >= len(files))
        copies.append(folder / f"{number:05}.flac")
        soundfile.write(copies[-1], samples, rate)
    return copies
