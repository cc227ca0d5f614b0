"""One picture of many recordings: each voice's spectrogram over the face drawn for it.

It needs Pillow only, so that the command line and the queue can make one without the machinery that draws faces.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

MOST_TILES = 400  # beyond, a sheet is too tall for most viewers
NOTICE = "AI-generated guesses. Not likenesses, and not evidence of anybody's identity."

FACE = 168
SPECTROGRAM_HEIGHT = 56
CARD_WIDTH, CARD_HEIGHT = FACE, SPECTROGRAM_HEIGHT + FACE + 34
GAP, MARGIN, HEADER, FOOTER = 18, 36, 84, 30
MOST_COLUMNS = 8

PAPER, CARD, LINE = (246, 245, 242), (255, 255, 255), (224, 221, 214)
INK, SOFT_INK, WARNING = (33, 37, 41), (110, 114, 120), (154, 52, 40)
WARNING_PAPER, EMPTY = (251, 240, 237), (236, 234, 229)


@dataclass(frozen=True)
class Tile:
    """One recording.

    Attributes:
        label: what it is called.
        face: PNG of its face, or None when none was drawn.
        spectrogram: PNG of its spectrogram, if there is one.
        note: why there is no face, or anything else worth a line.
    """

    label: str
    face: bytes | None
    spectrogram: bytes | None
    note: str | None


def contact_sheet_png(tiles: Sequence[Tile], title: str) -> bytes:
    """The sheet as a PNG that says of itself, as every face does, that it was generated."""
    info = PngInfo()
    info.add_itxt("Software", "voicesketch")
    info.add_itxt("Description", NOTICE)
    info.add_itxt(
        "DigitalSourceType", "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    file = io.BytesIO()
    contact_sheet(tiles, title).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def contact_sheet(tiles: Sequence[Tile], title: str) -> Image.Image:
    """Lay the tiles out, at most the first 400 of them.

    Args:
        tiles: in the order they are to appear.
        title: shown above, without the notice, which is always added.
    """
    shown = tiles[:MOST_TILES]
    # Where no tile has one, no room is kept for spectrograms.
    strip = SPECTROGRAM_HEIGHT if not shown or any(tile.spectrogram for tile in shown) else 0
    card_height = CARD_HEIGHT - SPECTROGRAM_HEIGHT + strip
    rows = max(1, -(-len(shown) // MOST_COLUMNS))
    columns = max(3, -(-len(shown) // rows))  # rows of about the same length
    width = 2 * MARGIN + columns * CARD_WIDTH + (columns - 1) * GAP
    height = HEADER + MARGIN + rows * (card_height + GAP) - GAP + FOOTER + MARGIN // 2
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 26), _fit(draw, title, 24, width - 2 * MARGIN), INK, font=_font(24))
    draw.text((MARGIN, 60), _fit(draw, NOTICE, 14, width - 2 * MARGIN), SOFT_INK, font=_font(14))
    for number, tile in enumerate(shown):
        row, column = divmod(number, columns)
        corner = (MARGIN + column * (CARD_WIDTH + GAP), HEADER + MARGIN // 2 + row * (card_height + GAP))
        _draw_tile(sheet, draw, tile, corner, strip)
    if len(tiles) > len(shown):
        more = f"The first {len(shown):,} of {len(tiles):,}. All of them are listed in results.csv."
        draw.text((MARGIN, height - FOOTER - 4), more, SOFT_INK, font=_font(13))
    return sheet


def _draw_tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], strip: int
) -> None:
    left, top = corner
    right, bottom = left + CARD_WIDTH, top + CARD_HEIGHT - SPECTROGRAM_HEIGHT + strip
    spectrogram = _open(tile.spectrogram, (CARD_WIDTH, SPECTROGRAM_HEIGHT)) if strip else None
    if strip and spectrogram is None:
        draw.rectangle((left, top, right - 1, top + SPECTROGRAM_HEIGHT - 1), fill=EMPTY)
    elif spectrogram is not None:
        sheet.paste(spectrogram, corner)
    face_top = top + strip
    face = _open(tile.face, (FACE, FACE))
    if face is not None:
        draw.rectangle((left, face_top, right - 1, bottom - 1), fill=CARD)
        sheet.paste(face, (left, face_top))
    else:
        draw.rectangle((left, face_top, right - 1, bottom - 1), fill=WARNING_PAPER)
        _draw_reason(draw, tile.note or "no face", (left, face_top))
    draw.line((left, face_top + FACE, right - 1, face_top + FACE), fill=LINE)
    draw.rectangle((left - 1, top - 1, right, bottom), outline=LINE)
    label = _fit(draw, tile.label, 13, CARD_WIDTH - 16)
    draw.text((left + CARD_WIDTH // 2, face_top + FACE + 17), label, INK, font=_font(13), anchor="mm")


def _draw_reason(draw: ImageDraw.ImageDraw, reason: str, corner: tuple[int, int]) -> None:
    """Why there is no face, in a few centred lines."""
    lines: list[str] = []
    for word in reason.replace("_", " ").split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and draw.textlength(longer, font=_font(14)) <= FACE - 28:
            lines[-1] = longer
        else:
            lines.append(_fit(draw, word, 14, FACE - 28))
    lines = lines[:5]
    middle_x, middle_y = corner[0] + FACE // 2, corner[1] + FACE // 2
    # A cross of two strokes: the font that Pillow brings along has none.
    cross_y = middle_y - 12 * len(lines) - 12
    for slope in (-1, 1):
        ends = (middle_x - 7, cross_y - 7 * slope, middle_x + 7, cross_y + 7 * slope)
        draw.line(ends, WARNING, width=2)
    for number, line in enumerate(lines):
        at = (middle_x, middle_y + 14 + 20 * number - 10 * (len(lines) - 1))
        draw.text(at, line, WARNING, font=_font(14), anchor="mm")


def _open(png: bytes | None, size: tuple[int, int]) -> Image.Image | None:
    """A picture at the size asked for; None when there is none or it cannot be read."""
    if png is None:
        return None
    try:
        with Image.open(io.BytesIO(png)) as picture:
            return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError):
        return None  # a sheet of thousands should not fail over one damaged file


_FONTS: dict[int, ImageFont.FreeTypeFont | ImageFont.ImageFont] = {}


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if size not in _FONTS:
        _FONTS[size] = ImageFont.load_default(size)  # comes with Pillow, so sheets look the same everywhere
    return _FONTS[size]


def _fit(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> str:
    """The text with its middle left out where it is too long; the end of a file name often tells most."""
    # Pillow's own font has no emoji, and line breaks or direction marks would tear the layout.
    text = "".join(letter if unicodedata.category(letter)[0] not in "CM" else " " for letter in text)
    text = " ".join(text.split())[:400]
    if draw.textlength(text, font=_font(size)) <= width:
        return text
    keep = len(text)
    while keep > 2:
        keep -= 1
        head = (keep + 1) // 2
        shorter = f"{text[:head].rstrip()}…{text[len(text) - keep // 2 :].lstrip()}"
        if draw.textlength(shorter, font=_font(size)) <= width:
            return shorter
    return "…"
