"""Each station of drawing alone: `python -m benchmarks.infer_stations VERSION KEYS`, with the settings of a worker.

Every station is called as the worker calls it, with as many threads and in batches of the same size, over all
recordings, with what the station before made lying in memory. KEYS is a JSON file with the recordings' keys in the
store. Prints, as JSON, recordings a second and milliseconds of a core for each station.
"""

# ruff: noqa: E402
from __future__ import annotations

from worker.threads import share_cores

share_cores()  # as a worker does, before numpy and torch come in

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from benchmarks.infer_whole import core_seconds
from benchmarks.queue_ledger import drawn, fresh_ledger, furnish, opened, submit
from core.claims.chunks import InferChunk
from core.claims.leases import claim_chunk
from core.claims.results import publish_outcomes
from core.claims.workers import register_worker
from core.config import load_settings
from core.ledger.database import Database
from core.store import Store
from worker.decoding.decoders import Decoders
from worker.drawing import BATCH, DECODERS, WRITERS
from worker.ml.audio import Limits
from worker.ml.drawing_models import DrawingModel
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder
from worker.ml.networks.ve_conv import VEConv
from worker.ml.pair import Pair
from worker.ml.pictures import face_metadata, face_png, face_thumbnail
from worker.ml.speech_to_face import SpeechToFace
from worker.ml.voice_features import cut_windows
from worker.models import Models, draw_all

STATIONS = ("fetch", "decode", "features", "network", "pictures", "store", "commit")
_SCRATCH = "bench/"  # where objects go that nobody reads
T = TypeVar("T")


@dataclass
class Clock:
    """Wall and processor time of one station after the other, that of its child processes included."""

    count: int
    told: dict[str, dict[str, float]]

    def time(self, name: str, work: Callable[[], T]) -> T:
        began, used = time.perf_counter(), core_seconds(os.getpid())
        answer = work()
        took, cores = time.perf_counter() - began, core_seconds(os.getpid()) - used
        self.told[name] = {"per_second": self.count / took, "core_ms": 1000 * cores / self.count}
        return answer


def main() -> None:
    version, keys = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    settings = load_settings()
    store = Store(settings)
    database = Database(settings.database_url)
    network = Models(settings, database, store).get(version).network
    clock = Clock(len(keys), {})
    with (
        ThreadPoolExecutor(DECODERS) as readers,
        Decoders() as decoders,
        ThreadPoolExecutor(WRITERS) as writers,
    ):
        list(readers.map(store.get, keys[:DECODERS]))  # connections are made
        contents = clock.time("fetch", lambda: list(readers.map(store.get, keys)))
        limits = Limits(max_seconds=settings.max_recording_seconds)
        decoders.decode("voice", contents[0], limits)  # the processes are up
        given = clock.time(
            "decode", lambda: list(readers.map(lambda one: decoders.decode("voice", one, limits), contents))
        )
        heard = [one.data for one in given]
        draw_all(network, heard[:BATCH])  # warm
        features, paint = split(network)
        made = clock.time("features", lambda: [features(batch) for batch in batches(heard)])
        faces = [
            face for part in clock.time("network", lambda: [paint(part) for part in made]) for face in part
        ]
        whole = clock.time(
            "features and network", lambda: [draw_all(network, part) for part in batches(heard)]
        )
        assert len(faces) == sum(map(len, whole)) == len(keys)
        metadata = face_metadata(network.version, "0" * 64)
        pictures = clock.time(
            "pictures",
            lambda: list(
                writers.map(
                    lambda face, one: (face_png(face, metadata), face_thumbnail(face, metadata), one.shown()),
                    faces,
                    given,
                )
            ),
        )
        clock.time("store", lambda: list(writers.map(lambda trio: put(store, trio), pictures)))
    store.delete_all(list(store.keys(_SCRATCH)))
    commit(clock)
    print(json.dumps({"threads": torch.get_num_threads(), "stations": clock.told}))


def split(
    network: DrawingModel,
) -> tuple[Callable[[Sequence[np.ndarray]], Any], Callable[[Any], np.ndarray]]:
    """What a model computes of waveforms before its network, and the network itself: batched forward, faces out."""
    if isinstance(network, Pair):
        return _split_pair(network)
    assert isinstance(network, SpeechToFace)
    return _split_default(network)


def _split_pair(pair: Pair) -> tuple[Callable[[Sequence[np.ndarray]], Any], Callable[[Any], np.ndarray]]:
    encoder = pair.encoder
    assert isinstance(encoder, ASTVoiceEncoder | VEConv)

    def features(waveforms: Sequence[np.ndarray]) -> Any:
        with torch.inference_mode():
            return encoder.features(waveforms)

    def paint(made: Any) -> np.ndarray:
        with torch.inference_mode():
            return pair.decoder.decode(encoder.embed(made)).pictures

    return features, paint


def _split_default(
    model: SpeechToFace,
) -> tuple[Callable[[Sequence[np.ndarray]], Any], Callable[[Any], np.ndarray]]:
    from worker.ml.voice_encoder import mean_per_clip

    def features(waveforms: Sequence[np.ndarray]) -> Any:
        windows = [cut_windows(waveform, model.clip_seconds) for waveform in waveforms]
        with torch.inference_mode():
            together = torch.from_numpy(np.concatenate(windows)).to(model.device)
            return model.mel_power(together), [len(part) for part in windows]

    def paint(made: Any) -> np.ndarray:
        with torch.inference_mode():
            mels, counts = made
            return model.paint(mean_per_clip(model.voice_encoder(mels), counts)).pictures

    return features, paint


def batches(heard: Sequence[T]) -> Iterable[list[T]]:
    rest = iter(heard)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch


_numbers = itertools.count()


def put(store: Store, pictures: tuple[bytes, bytes, bytes]) -> None:
    number = next(_numbers)
    for name, picture in zip(("face", "thumbnail", "spectrogram"), pictures, strict=True):
        store.put(f"{_SCRATCH}{number}/{name}", picture, "image/png", name)


def commit(clock: Clock) -> None:
    """Claims and fenced transactions for so many faces, on a ledger of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="voicesketch-commit-") as folder,
        fresh_ledger("sqlite", Path(folder) / "ledger") as url,
        opened(url) as database,
    ):
        owner, hashes = furnish(database, "bench", clock.count)
        with database.write() as session:
            worker = register_worker(session, queue="gpu", device="cpu")
        submit(database, owner, hashes)

        def work() -> int:
            published = 0
            while True:
                with database.write() as session:
                    chunk = claim_chunk(session, worker, "gpu", size=32, lease_seconds=60.0)
                if not isinstance(chunk, InferChunk):
                    return published
                with database.write() as session:
                    publish_outcomes(session, chunk, [drawn(chunk, item) for item in chunk.items])
                published += len(chunk.items)

        assert clock.time("commit", work) == clock.count


if __name__ == "__main__":
    main()
