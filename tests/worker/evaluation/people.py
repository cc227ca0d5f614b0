"""A small prepared dataset whose true faces are just what the default model draws for the voices."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.worker.small_datasets import image, voice
from worker.ml.audio import decode
from worker.ml.model_folders import find_model
from worker.ml.speech_to_face import SpeechToFace
from worker.prepare import main as prepare

PEOPLE = 6


def write_dataset(
    folder: Path, *, features: tuple[str, ...] = ("waveform",), people: int = PEOPLE, size: int = 224
) -> Path:
    """Two people to train on, and some in the test part, women and men in turn."""
    media = folder / "media"
    media.mkdir(parents=True)
    count = people + 2
    for number in range(count):
        (media / f"{number}.wav").write_bytes(voice(1.5, 40 + 3 * number))
    model = SpeechToFace.from_pretrained(find_model("default"), "cpu")
    faces = model.draw([decode(media / f"{number}.wav").waveform for number in range(count)])
    lines = ["identity,gender,split,voice,face"]
    for number, face in enumerate(faces):
        (media / f"{number}.png").write_bytes(image(face))
        split, gender = "test" if number < people else "train", "fm"[number % 2]
        lines.append(f"person {number},{gender},{split},{number}.wav,{number}.png")
    (media / "manifest.csv").write_text("\n".join(lines) + "\n")
    recipe = {
        "voice": {"features": list(features)},
        "face": {"outputs": ["picture"], "size": size},
        "shard_entries": 8,
    }
    out = folder / "dataset"
    assert (
        prepare([str(media), "--out", str(out), "--recipe-json", json.dumps(recipe), "--device", "cpu"]) == 0
    )
    return out


def ask(run: Path, dataset: Path, models: dict[str, Path], **spec: Any) -> Path:
    """A run folder with a request."""
    run.mkdir(parents=True)
    request = {
        "spec": {"dataset": "small@1", **spec},
        "dataset": str(dataset),
        "dataset_sha256": "",
        "models": {name: str(folder) for name, folder in models.items()},
        "device": "cpu",
    }
    (run / "request.json").write_text(json.dumps(request))
    return run


@contextmanager
def kept_signals() -> Iterator[None]:
    """Programs answer to signals; tests that call them go on answering as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
