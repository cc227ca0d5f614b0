"""A small folder of people: a tone is the voice of each, and a pattern their picture."""

from __future__ import annotations

import io
import math
import struct
import wave
from pathlib import Path

from PIL import Image

from tests.dashboard.conftest import Place, Script


def tone(number: int, seconds: float = 1.0) -> bytes:
    """A WAV file of two tones, different for each number."""
    rate = 16_000
    samples = (
        round(9000 * (math.sin(0.05 * (number + 2) * n) + 0.5 * math.sin(0.011 * (number + 3) * n)) / 1.5)
        for n in range(round(rate * seconds))
    )
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return content.getvalue()


def picture(number: int) -> bytes:
    content = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).rotate(number * 17).convert("RGB").save(content, "PNG")
    return content.getvalue()


def people_files(count: int = 10) -> dict[str, bytes]:
    """Contents by path; one recording is none, and one person has no face."""
    files = {}
    lines = ["person,gender,path"]
    for number in range(count):
        for path, content in (
            (f"p{number}/voice.wav", tone(number)),
            (f"p{number}/face.png", picture(number)),
        ):
            files[path] = content
            lines.append(f"p{number},{'female' if number % 2 else 'male'},{path}")
    files["p0/broken.wav"] = b"no recording at all"
    lines += ["p0,male,p0/broken.wav", "alone,female,alone/voice.wav"]
    files["alone/voice.wav"] = tone(99)
    files["people.csv"] = "\n".join(lines).encode()
    return files


def write_people(folder: Path, count: int = 10) -> Path:
    for path, content in people_files(count).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def send_files(script: Script, files: dict[str, bytes]) -> list[dict[str, str]]:
    return [{"path": path, "recording": script.send(content)} for path, content in files.items()]


def work(place: Place, cache: Path) -> None:
    """What a worker does when its doorbell rings, to the end."""
    from worker.runner import Runner

    runner = Runner(place.settings.model_copy(update={"cache_folder": cache, "device": "cpu"}))
    try:
        runner.run_until_idle()
    finally:
        runner.close()
