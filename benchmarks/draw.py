"""How quickly faces are drawn: `python -m benchmarks.draw [--device cpu] [--clips 256] [--seconds 5]`.

The sound is made up; nothing in the time depends on what is said. Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import time

import numpy as np
import soundfile
import torch

from worker.ml.audio import decode
from worker.ml.model_folders import find_model
from worker.ml.pictures import face_metadata, face_png, spectrogram_png
from worker.ml.speech_to_face import SpeechToFace


def main() -> None:
    parser = argparse.ArgumentParser(description="How quickly faces are drawn.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    began = time.perf_counter()
    model = SpeechToFace.from_pretrained(find_model("default"), options.device)
    loading = time.perf_counter() - began
    chance = np.random.default_rng(0)
    file = io.BytesIO()
    noise = chance.normal(0, 0.1, round(options.seconds * 16_000)).astype(np.float32)
    soundfile.write(file, noise, 16_000, format="FLAC")
    recording = file.getvalue()
    model.draw([noise] * 4)  # warm up

    stages: dict[str, float] = {}
    began = time.perf_counter()
    clips = [decode(recording) for _ in range(options.clips)]
    stages["decode"] = time.perf_counter() - began
    began = time.perf_counter()
    faces = model.draw([clip.waveform for clip in clips])
    stages["draw"] = time.perf_counter() - began
    began = time.perf_counter()
    for face in faces:
        face_png(face, face_metadata(model.version, "0" * 64))
    stages["face_png"] = time.perf_counter() - began
    began = time.perf_counter()
    for clip in clips[:64]:
        spectrogram_png(clip.waveform)
    stages["spectrogram_png"] = (time.perf_counter() - began) * options.clips / len(clips[:64])
    began = time.perf_counter()
    for _ in range(10):
        model.draw([noise])
    single = (time.perf_counter() - began) / 10
    report = {
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "clips": options.clips,
        "seconds_each": options.seconds,
        "load_seconds": round(loading, 2),
        "one_clip_milliseconds": round(1000 * single, 1),
        "clips_per_second": {name: round(options.clips / spent, 1) for name, spent in stages.items()},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
