"""Settings of Sphinx, which reads this file by its name."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parents[1]))

project = "voicesketch"
copyright = ""
html_show_copyright = False
html_show_sphinx = False
extensions = ["myst_parser", "docs.site.diagrams"]
source_suffix = {".md": "markdown"}
root_doc = "index"
# Headings can be linked to as on a forge; a fence of Mermaid is a diagram here, too.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_title = "voicesketch"
html_favicon = str(_HERE.parents[1] / "dashboard" / "static" / "mark.svg")
html_static_path = [str(_HERE / "static")]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "native"
