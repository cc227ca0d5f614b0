"""The reference, written from the code each time the site is built, so that it cannot fall behind.

Nothing of it is kept in the repository: pages that change with every option and field would only ever be looked at by
whoever resolves their conflicts. What people read on a forge (`docs/command_line.md`, `docs/api.md`,
`docs/configuration.md`, `docs/networks.md`) is written by hand and held to the code by tests.
"""

from __future__ import annotations

from pathlib import Path

from docs.site.reference import api, commands, measurements, networks, presets, settings

PAGES = {
    "commands": commands.page,
    "api": api.page,
    "settings": settings.page,
    "networks": networks.page,
    "presets": presets.page,
    "measurements": measurements.page,
}


def write_reference(folder: Path) -> None:
    """Write a page for each part into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page(), "utf-8")
