"""Pictures of many faces: beside each other, in rows with titles, marked as AI-generated."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from worker.ml.images import picture_png, resized
from worker.ml.pictures import face_png

Face = npt.NDArray[np.uint8]
TILE, GAP, TITLE_HEIGHT, MARGIN = 128, 4, 22, 10
PAPER, INK = (255, 255, 255), (33, 37, 43)
MARKED = "AI-generated guesses of faces, beside true faces where it says so. Not evidence of identity."


def true_png(face: Face, side: int = TILE) -> bytes:
    """A true face, uint8 RGB `[H, W, 3]`, in the size of a tile."""
    return picture_png(resized(face, side, side))


def drawn_png(face: Face, model_version: str, side: int = TILE) -> bytes:
    """A drawn face in the size of a tile, that says within the file that it was generated."""
    return face_png(resized(face, side, side), {"model_version": model_version})


def grid_png(rows: Sequence[Sequence[Face]], titles: Sequence[str] = (), *, tile: int = TILE) -> bytes:
    """Rows of faces, uint8 RGB `[H, W, 3]` of any sizes.

    Args:
        titles: above each row; none for rows without.
    """
    columns = max(len(row) for row in rows)
    above = TITLE_HEIGHT if titles else 0
    height = 2 * MARGIN + len(rows) * (tile + GAP + above) - GAP
    sheet = Image.new("RGB", (2 * MARGIN + columns * (tile + GAP) - GAP, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = MARGIN + number * (tile + GAP + above)
        if titles:
            pen.text((MARGIN, top + 2), titles[number], fill=INK, font=ImageFont.load_default(14))
        for place, face in enumerate(row):
            left = MARGIN + place * (tile + GAP)
            sheet.paste(Image.fromarray(resized(face, tile, tile)), (left, top + above))
    return _png(sheet)


def _png(picture: Image.Image) -> bytes:
    notes = PngInfo()
    notes.add_text("Description", MARKED)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=notes)
    return file.getvalue()
