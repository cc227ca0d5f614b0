"""Diagrams of pages, drawn while the site is built: once for light and once for dark, with no script in the browser."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import mmdr
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_FOLDER = "_diagrams"
_SIZE = re.compile(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')
_COLOURS = {
    "light": {
        "background": "#ffffff",
        "ink": "#1c2430",
        "line": "#5b6675",
        "box": "#eef2f7",
        "edge": "#8e9bab",
    },
    "dark": {
        "background": "#131416",
        "ink": "#e4e7ec",
        "line": "#a3adba",
        "box": "#23282f",
        "edge": "#6b7686",
    },
}


class Mermaid(SphinxDirective):
    """A fence of Mermaid as two pictures, of which the theme shows one."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        source = "\n".join(self.content)
        frame = nodes.container(classes=["diagram"])
        for theme in _COLOURS:
            name = f"{hashlib.sha256(source.encode()).hexdigest()[:16]}-{theme}.svg"
            file = Path(self.env.srcdir) / _FOLDER / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(draw(source, theme), "utf-8")
            frame += nodes.image(
                uri=f"/{_FOLDER}/{name}", alt="Diagram", classes=[f"only-{theme}", "no-scaled-link"]
            )
        return [frame]


def draw(source: str, theme: str) -> str:
    """SVG of a diagram in one of two sets of colours, as large as it wants to be.

    Raises:
        ValueError: it cannot be drawn.
    """
    colours = _COLOURS[theme]
    settings = {
        "theme": "base",
        "themeVariables": {
            "background": colours["background"],
            "primaryColor": colours["box"],
            "primaryTextColor": colours["ink"],
            "primaryBorderColor": colours["edge"],
            "textColor": colours["ink"],
            "lineColor": colours["line"],
            "transitionColor": colours["line"],
            "transitionLabelColor": colours["ink"],
            "stateLabelColor": colours["ink"],
            "edgeLabelBackground": colours["background"],
            "labelBackgroundColor": colours["background"],
            "fontFamily": "sans-serif",
        },
    }
    try:
        svg = str(mmdr.render(f"%%{{init: {json.dumps(settings)}}}%%\n{source}\n").svg())
    except Exception as error:
        raise ValueError(f"This diagram cannot be drawn: {error}") from error
    size = _SIZE.search(svg)
    if size is None:
        raise ValueError("This diagram came out without a size.")
    # As a picture it needs a size of its own: a browser would take 300 by 150 otherwise.
    width, height = (round(float(one)) for one in size.groups())
    return svg.replace('width="100%"', f'width="{width}" height="{height}"', 1)


def name_diagrams(_: Sphinx, page: nodes.document) -> None:
    """Says of each diagram what it is of, to those who do not see it: the heading above."""
    for frame in page.findall(nodes.container):
        section = frame.parent
        if "diagram" in frame["classes"] and isinstance(section, nodes.section):
            title = section.next_node(nodes.title)
            for picture in frame.findall(nodes.image):
                picture["alt"] = f"Diagram: {title.astext() if title else ''}"


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_directive("mermaid", Mermaid)
    app.connect("doctree-read", name_diagrams)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
