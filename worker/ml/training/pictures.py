"""Pictures to watch a training by: targets beside what the network draws, as one grid."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from worker.ml.training.task import Panel

_EDGE, _GAP, _TITLE, _FONT = 160, 6, 20, 13  # pixels
_PAPER, _INK = (255, 255, 255), (31, 41, 55)
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def grid(panels: Sequence[Panel], heading: str) -> npt.NDArray[np.uint8]:
    """All panels on one picture, uint8 RGB `[H, W, 3]`; pictures of a panel beside each other under their titles.

    Args:
        panels: at least one; each picture is shown with the same height.
        heading: written above all.
    """
    across = max(1, round(math.sqrt(len(panels) / max(len(panel.pictures) for panel in panels))))
    shown = [[_scaled(picture) for picture in panel.pictures] for panel in panels]
    width = max(sum(picture.width + _GAP for picture in pictures) for pictures in shown) + _GAP
    height = _TITLE + _EDGE + _GAP
    down = math.ceil(len(panels) / across)
    paper = Image.new("RGB", (width * across + _GAP, _TITLE + _GAP + height * down), _PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(_FONT)
    pen.text((2 * _GAP, 3), heading, _INK, font)
    for number, (panel, pictures) in enumerate(zip(panels, shown, strict=True)):
        left, top = (number % across) * width + 2 * _GAP, _TITLE + _GAP + (number // across) * height
        for title, picture in zip(panel.titles, pictures, strict=True):
            pen.text((left, top), _fitting(title, picture.width, font), _INK, font)
            paper.paste(picture, (left, top + _TITLE))
            left += picture.width + _GAP
    return np.asarray(paper)


def grid_png(panels: Sequence[Panel], heading: str) -> bytes:
    """The same as a PNG that says what it is."""
    info = PngInfo()
    info.add_itxt("Software", "voicesketch")
    info.add_itxt("Description", f"Samples of a training, targets beside generated pictures. {heading}")
    info.add_itxt("DigitalSourceType", _SOURCE_TYPE)
    content = io.BytesIO()
    Image.fromarray(grid(panels, heading)).save(content, "PNG", pnginfo=info)
    return content.getvalue()


def _scaled(picture: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(picture)
    width = max(1, round(image.width * _EDGE / image.height))
    return image.resize((width, _EDGE), Image.Resampling.LANCZOS)


def _fitting(title: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    if font.getlength(title) <= width:
        return title
    while title and font.getlength(title + "…") > width:
        title = title[:-1]
    return title + "…"
