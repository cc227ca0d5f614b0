"""Markdown of others as HTML that can do nothing: no raw HTML, no pictures, no links that run something."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markupsafe import Markup

# Cards stand under the headings of the page.
_LOWER_BY = 2
_LOWEST = 6
_LONGEST = 200_000

_reader = (
    MarkdownIt("commonmark", {"html": False, "linkify": False})
    .enable("table")
    .disable(["image", "html_block", "html_inline"])
)


def render_markdown(text: str) -> Markup:
    """HTML of a text; a first heading of the highest rank is left out, as the page has its own."""
    tokens = _reader.parse(text[:_LONGEST])
    if len(tokens) > 3 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + _LOWER_BY - 1, _LOWEST)}"
        # Alignment of columns would be an inline style, which the policy of the pages forbids.
        token.attrs.pop("style", None)
        for child in token.children or ():
            if child.type == "link_open":
                child.attrs["rel"] = "noopener noreferrer nofollow"
    return Markup(_reader.renderer.render(tokens, _reader.options, {}))  # noqa: S704 - made above, of escaped text
