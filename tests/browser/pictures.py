"""Pictures of pages for the manual: small, in both themes where that says something."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

# What is shown of a page: its upper part, at a size at which words can be read.
_HEIGHT = 820
_WIDTH = 1000


def take(page: Page, name: str, folder: Path) -> None:
    """Leaves `name.webp` in the folder: the page in light, as wide as a small window."""
    folder.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(400)  # pictures on it are decoded
    height = min(_HEIGHT, int(page.evaluate("document.documentElement.scrollHeight")))
    shot = page.screenshot(clip={"x": 0, "y": 0, "width": 1280, "height": height}, full_page=True)
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    picture = picture.resize((_WIDTH, picture.height * _WIDTH // picture.width), Image.Resampling.LANCZOS)
    picture.save(folder / f"{name}.webp", "WEBP", quality=72, method=6)
