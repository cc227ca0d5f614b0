"""Stand-ins that are real where it counts: they use the ledger and the store as the real parts do."""

from __future__ import annotations

import colorsys
import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from core.claims.chunks import ClaimedItem, InferChunk
from core.claims.leases import claim_chunk
from core.claims.results import AlreadyDrawn, CouldNotDraw, Drawn, Outcome, publish_outcomes
from core.claims.workers import register_worker
from core.config import Settings
from core.faces.landmarks import KEY as LANDMARKS
from core.ledger.database import Database
from core.objects import face_key, spectrogram_key, thumbnail_key
from core.store import Store

SIDE = 224


class FakeWorker:
    """Claims and publishes as a worker does, and draws discs where a worker draws faces.

    Args:
        refuse: for an item, the code and message it fails with, or None to draw it.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: Store,
        *,
        refuse: Callable[[ClaimedItem], tuple[str, str] | None] | None = None,
    ) -> None:
        self.settings, self.database, self.store = settings, database, store
        self.refuse = refuse or (lambda item: empty_files(item))
        with database.write() as session:
            self.id = register_worker(session, queue=settings.queue, device="fake")

    def step(self, size: int = 32) -> int:
        """Claims one chunk and publishes it; answers how many items it had."""
        chunk = self.claim(size)
        return 0 if chunk is None else self.finish(chunk)

    def run(self, size: int = 32) -> int:
        """Works until nothing waits; answers how many items that were."""
        total = 0
        while count := self.step(size):
            total += count
        return total

    def claim(self, size: int = 32) -> InferChunk | None:
        with self.database.write() as session:
            chunk = claim_chunk(session, self.id, self.settings.queue, size=size, lease_seconds=60)
            assert chunk is None or isinstance(chunk, InferChunk)
            return chunk

    def finish(self, chunk: InferChunk) -> int:
        outcomes: list[Outcome] = []
        for item in chunk.items:
            reason = self.refuse(item)
            if reason is not None:
                outcomes.append(CouldNotDraw(item.id, *reason, seconds=0.01))
            elif item.drawing_id is not None:
                outcomes.append(AlreadyDrawn(item.id, item.drawing_id))
            else:
                outcomes.append(self._draw(chunk, item))
        with self.database.write() as session:
            unneeded = publish_outcomes(session, chunk, outcomes)
        for key in unneeded:
            self.store.delete(key)
        return len(outcomes)

    def _draw(self, chunk: InferChunk, item: ClaimedItem) -> Drawn:
        keys: Mapping[str, str] = {
            "face": face_key(chunk.job_id, chunk.token, item.id),
            "spectrogram": spectrogram_key(chunk.job_id, chunk.token, item.id),
        }
        pictures = {
            "face": face_picture(item.recording_sha256),
            "spectrogram": stripes(item.recording_sha256),
        }
        stored = {kind: self.store.put(keys[kind], pictures[kind], "image/png", kind) for kind in keys}
        small = io.BytesIO()
        Image.open(io.BytesIO(pictures["face"])).resize((112, 112)).save(small, "WEBP")
        key = thumbnail_key(chunk.job_id, chunk.token, item.id)
        return Drawn(
            item_id=item.id,
            recording_sha256=item.recording_sha256,
            face=stored["face"],
            spectrogram=stored["spectrogram"],
            seconds=0.05,
            duration_seconds=3.0,
            thumbnail=self.store.put(key, small.getvalue(), "image/webp", "thumbnail"),
        )


def empty_files(item: ClaimedItem) -> tuple[str, str] | None:
    if item.size_bytes == 0:
        return "empty_file", "The file is empty: it holds no sound at all."
    return None


def face_picture(sha256: str) -> bytes:
    """A disc with two eyes, in a colour of its own for each recording; it tells its landmarks as a model's would."""
    seed = hashlib.sha256(sha256.encode()).digest()
    picture = Image.new("RGB", (SIDE, SIDE), _colour(seed[0], 0.18, 0.86))
    pen = ImageDraw.Draw(picture)
    width, height = 55 + seed[1] % 20, 75 + seed[2] % 15
    middle = SIDE // 2
    pen.rectangle((30, 200, 194, 224), fill=_colour(seed[3], 0.4, 0.5))
    pen.ellipse((middle - width, 112 - height, middle + width, 112 + height), fill=_colour(18, 0.35, 0.8))
    for side in (-1, 1):
        eye = middle + side * (22 + seed[4] % 8)
        pen.ellipse((eye - 6, 92, eye + 6, 102), fill=(50, 40, 40))
    pen.arc((middle - 24, 120, middle + 24, 155), 20, 160, fill=(150, 70, 70), width=4)
    told = PngInfo()
    told.add_itxt(LANDMARKS, json.dumps({"order": "ibug68", "points": landmarks_of_disc(width, height)}))
    return _png(picture, told)


def landmarks_of_disc(width: int, height: int) -> list[list[float]]:
    """68 points: a jaw along the lower half of the disc; brows, nose, eyes and mouth where they roughly are."""

    def arc(
        count: int, x: float, y: float, wide: float, high: float, begin: float, end: float
    ) -> list[list[float]]:
        turns = [math.radians(begin + (end - begin) * n / max(1, count - 1)) for n in range(count)]
        return [[round(x + wide * math.cos(a), 1), round(y + high * math.sin(a), 1)] for a in turns]

    middle = SIDE / 2
    return [
        *arc(17, middle, 112, width, height, 180, 0),
        *arc(5, middle - 26, 90, 14, 8, 200, 340),
        *arc(5, middle + 26, 90, 14, 8, 200, 340),
        *[[middle, y] for y in (97.0, 105.0, 113.0, 121.0)],
        *[[middle + x, 126.0] for x in (-8.0, -4.0, 0.0, 4.0, 8.0)],
        *arc(6, middle - 26, 97, 8, 5, 180, 480),
        *arc(6, middle + 26, 97, 8, 5, 180, 480),
        *arc(12, middle, 144, 22, 10, 180, 510),
        *arc(8, middle, 144, 14, 4, 180, 495),
    ]


def stripes(sha256: str) -> bytes:
    """Something with the shape of a spectrogram."""
    seed = hashlib.sha512(sha256.encode()).digest()
    picture = Image.new("RGB", (256, 80), (14, 16, 38))
    pen = ImageDraw.Draw(picture)
    for x in range(0, 256, 4):
        loud = seed[x % 64]
        pen.line((x, 79, x, 79 - loud // 4), fill=_colour(200 + loud // 5, 0.7, 0.4 + loud / 500), width=3)
    return _png(picture)


def _colour(hue: int, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((hue % 256) / 256, saturation, min(value, 1.0))
    return int(red * 255), int(green * 255), int(blue * 255)


def _png(picture: Image.Image, told: PngInfo | None = None) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG", pnginfo=told)
    return held.getvalue()
