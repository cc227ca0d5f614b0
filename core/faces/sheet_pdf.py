"""Pages of faces as a PDF, written page by page: one page is in memory, however many there are."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from core.faces.contact_sheet import NOTICE, Tile, contact_sheet

_WIDTH_POINTS = 595  # of A4; the height follows from the sheet
_QUALITY = 88


def pdf_pieces(pages: Iterable[tuple[Sequence[Tile], str]], title: str) -> Iterator[bytes]:
    """A PDF with a picture on each page, and what it is in its description.

    Args:
        pages: the tiles of each, and the line above them.
    """
    # Objects 1 to 3 are the catalogue, the list of pages and the description. The first two are written last, when it
    # is known which pages there are.
    at: dict[int, int] = {}
    position = 0
    numbers: list[int] = []

    def written(piece: bytes, number: int | None = None) -> bytes:
        nonlocal position
        if number is not None:
            at[number] = position
            piece = f"{number} 0 obj\n".encode() + piece + b"\nendobj\n"
        position += len(piece)
        return piece

    yield written(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    yield written(
        b"<< /Title " + _text(title) + b" /Subject " + _text(NOTICE) + b" /Producer (voicesketch) >>", 3
    )
    following = 4
    for tiles, line in pages:
        sheet = contact_sheet(tiles, line)
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=_QUALITY)
        picture = file.getvalue()
        height = round(_WIDTH_POINTS * sheet.height / sheet.width)
        page, content, image = following, following + 1, following + 2
        following += 3
        numbers.append(page)
        drawing = f"q {_WIDTH_POINTS} 0 0 {height} 0 0 cm /Faces Do Q".encode()
        yield written(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_WIDTH_POINTS} {height}] /Contents {content} 0 R "
            f"/Resources << /XObject << /Faces {image} 0 R >> >> >>".encode(),
            page,
        )
        yield written(_stream(b"", drawing), content)
        about = (
            f"/Type /XObject /Subtype /Image /Width {sheet.width} /Height {sheet.height} "
            "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode "
        )
        yield written(_stream(about.encode(), picture), image)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    yield written(f"<< /Type /Pages /Kids [{kids}] /Count {len(numbers)} >>".encode(), 2)
    yield written(b"<< /Type /Catalog /Pages 2 0 R >>", 1)
    table = "".join(f"{at[number]:010} 00000 n \n" for number in range(1, following))
    yield (
        f"xref\n0 {following}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {following} /Root 1 0 R /Info 3 0 R >>\nstartxref\n{position}\n%%EOF\n"
    ).encode()


def _stream(about: bytes, content: bytes) -> bytes:
    return b"<< " + about + b"/Length %d >>\nstream\n" % len(content) + content + b"\nendstream"


def _text(text: str) -> bytes:
    """Any text, as the hexadecimal digits of its UTF-16: nothing in a name can end it."""
    return b"<" + ("\ufeff" + text).encode("utf-16-be", "replace").hex().encode() + b">"
