"""Folders of people for tests of preparation: made-up voices, drawn faces, and everything that can be wrong."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from core.datasets.plan import Entry, Person, Plan
from core.datasets.recipes import Recipe
from worker.ml.images import Rgb


def voice(seconds: float = 1.0, seed: int = 0, kind: str = "WAV") -> bytes:
    """Noise that swells and fades, never the same for two seeds."""
    chance = np.random.default_rng(seed)
    samples = chance.normal(0, 0.1, round(seconds * 16_000))
    samples *= 0.2 + np.abs(np.sin(np.arange(len(samples)) / (1_500 + 40 * seed)))
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1).astype(np.float32), 16_000, format=kind)
    return file.getvalue()


def picture(seed: int = 0, size: int = 48, kind: str = "PNG") -> bytes:
    """Coloured noise, coarse enough to survive compression."""
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    return image(np.asarray(Image.fromarray(noise).resize((size, size))), kind)


def image(rgb: Rgb, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def recipe(**values: Any) -> Recipe:
    """Of waveforms and small whole pictures unless something else is said; both quick."""
    cheap: dict[str, Any] = {"voice": {"features": ["waveform"]}, "face": {"size": 32}, "shard_entries": 4}
    return Recipe.model_validate({**cheap, **values})


def plan_of(
    keys: Mapping[str, str], recipe: Recipe, companions: Mapping[str, dict[str, str]] | None = None
) -> Plan:
    """A plan of inputs, by key with their forms; the first folder is the person, every fifth person is for tests."""
    names = sorted({key.split("/")[0] for key in keys})
    people = tuple(Person(name, name, "test" if at % 5 == 4 else "train") for at, name in enumerate(names))
    entries = tuple(
        Entry(
            key,
            key.split("/")[0],
            "voice" if form == "recording" or "voice" in key else "face",
            form,  # type: ignore[arg-type]
            companions={name: (other, None) for name, other in (companions or {}).get(key, {}).items()},
        )
        for key, form in keys.items()
    )
    return Plan("folders", recipe, people, entries)


def fetch_of(files: Mapping[str, bytes | BaseException]) -> Callable[[str, str | None], bytes]:
    """Answers contents, or raises what stands in their place."""

    def fetch(key: str, source: str | None) -> bytes:
        content = files.get(key, FileNotFoundError(2, "No such file or directory", key))
        if isinstance(content, BaseException):
            raise content
        return content

    return fetch


def write_people(root: Path, count: int = 6, seconds: float = 1.0) -> Path:
    """A folder with two recordings and a picture of each person."""
    for number in range(count):
        person = root / f"person{number:02d}"
        person.mkdir(parents=True)
        for clip in range(2):
            (person / f"clip {clip}.wav").write_bytes(voice(seconds + 0.1 * clip, 2 * number + clip))
        (person / "portrait.png").write_bytes(picture(number))
    return root
