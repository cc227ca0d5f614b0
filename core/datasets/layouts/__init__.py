"""Layouts of datasets: how people, recordings and pictures lie in folders, and the plan that follows from it.

One reader a file. `plan_files` plans what somebody sent, `plan_folder` what lies in a folder; both go the same way.
Nothing here opens a recording or a picture: names and small tables are enough.
"""

from core.datasets.layouts.planning import LAYOUTS, Settled, plan_files, plan_folder, plan_gathered, recognise
from core.datasets.layouts.reading import LayoutOptions
from core.datasets.layouts.source import SourceFile, why_unsafe
from core.datasets.layouts.tables import TABLES
from core.datasets.layouts.walking import Gathered, gather

__all__ = [
    "LAYOUTS",
    "TABLES",
    "Gathered",
    "LayoutOptions",
    "Settled",
    "SourceFile",
    "gather",
    "plan_files",
    "plan_folder",
    "plan_gathered",
    "recognise",
    "why_unsafe",
]
