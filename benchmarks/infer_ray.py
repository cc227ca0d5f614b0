"""The same faces with Ray Data, as its users write batch inference: `python -m benchmarks.infer_ray MODEL KEYS …`.

Recordings are read from the same store as ours are, decoded by tasks, drawn by an actor that holds the network and
gets batches of 16, and written as PNG by tasks. Thumbnails, spectrograms and a ledger there are none. The clock runs
from the actor's first batch on: Ray's own start, the loading of the network and the first reads are not counted. Run by
a Python that has Ray; ours need not. Prints JSON on its last line.

The network gets all cores by default; `--threads 1` leaves it one, as Ray itself would have it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 16
RATE = 16_000


class Draw:
    """An actor's class: loads once, draws batch after batch."""

    def __init__(self, folder: str, threads: int) -> None:
        import torch

        from worker.ml.drawing_models import load_drawing_model

        torch.set_num_threads(threads)
        self.model = load_drawing_model([Path(folder)], "cpu")
        self.model.draw([np.zeros(RATE, dtype=np.float32) + 0.01])
        self.began = 0.0

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        self.began = self.began or time.time()
        faces = self.model.draw(list(batch["waveform"]))
        return {"image": faces, "began": np.full(len(faces), self.began)}


def decode(row: dict[str, Any]) -> dict[str, Any]:
    import librosa

    waveform, _ = librosa.load(io.BytesIO(row["bytes"]), sr=RATE, mono=True)
    return {"waveform": waveform.astype(np.float32)}


def encode(row: dict[str, Any]) -> dict[str, Any]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(row["image"]).save(file, format="PNG")
    return {"png": file.getvalue(), "began": row["began"]}


class Write:
    """Puts pictures into the store."""

    def __init__(self, url: str, bucket: str) -> None:
        self._fs = file_system(url)
        self._bucket = bucket

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import uuid

        with self._fs.open_output_stream(f"{self._bucket}/bench/{uuid.uuid4().hex}.png") as stream:
            stream.write(row["png"])
        return {"bytes_written": len(row["png"]), "began": row["began"]}


def file_system(url: str) -> Any:
    """The stack's store, by the keys that the environment has."""
    from pyarrow import fs

    return fs.S3FileSystem(
        endpoint_override=url,
        access_key=os.environ["VOICESKETCH_S3_ACCESS_KEY"],
        secret_key=os.environ["VOICESKETCH_S3_SECRET_KEY"],
        scheme=url.partition("://")[0],
        region="us-east-1",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("keys", type=Path, help="JSON list of the recordings' keys")
    parser.add_argument("--url", required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    import ray
    import ray.data

    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    keys = json.loads(options.keys.read_text())
    began = time.time()
    data = (
        ray.data.read_binary_files(
            [f"{options.bucket}/{key}" for key in keys], filesystem=file_system(options.url)
        )
        .map(decode)
        .map_batches(
            Draw,
            batch_size=BATCH,
            concurrency=1,
            num_cpus=1,
            fn_constructor_args=(options.model, options.threads),
        )
        .map(encode)
        .map(
            Write,
            concurrency=2,
            num_cpus=0,
            fn_constructor_args=(options.url, options.bucket),
        )
    )
    rows = data.take_all()
    ended = time.time()
    assert len(rows) == len(keys), f"{len(rows)} faces of {len(keys)} recordings"
    first = min(row["began"] for row in rows)
    ray.shutdown()
    print(json.dumps({"per_second": len(keys) / (ended - first), "seconds_with_start": ended - began}))


if __name__ == "__main__":
    sys.exit(main())
