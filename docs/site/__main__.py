"""`python -m docs.site`: gathers the pages, writes the reference, and has Sphinx make HTML of both in `build/docs`.

A warning of Sphinx is an error: a link that leads nowhere, a page in no table of contents, a diagram that cannot be
drawn. Nothing is fetched from anywhere.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.gathering import gather
from docs.site.reference import write_reference

_SITE = Path(__file__).resolve().parent
_BUILD = _SITE.parents[1] / "build"


def main(pages: Path = _BUILD / "docs-pages", site: Path = _BUILD / "docs") -> int:
    """Build the site anew.

    Args:
        pages: folder for what Sphinx reads, emptied first.
        site: folder for the HTML, emptied first.

    Returns:
        The exit code of Sphinx.
    """
    for folder in (pages, site):
        shutil.rmtree(folder, ignore_errors=True)
    gather(_SITE.parent, pages)
    write_reference(pages / "reference")
    trees = pages.parent / f"{pages.name}-trees"
    try:
        return build_main(
            [
                "-b",
                "html",
                "-c",
                str(_SITE),
                "-d",
                str(trees),
                "-E",
                "-W",
                "--keep-going",
                "-q",
                str(pages),
                str(site),
            ]
        )
    finally:
        shutil.rmtree(trees, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
