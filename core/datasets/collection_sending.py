"""From folders of this machine to files of a collection: media and tables are sent, and then added by their paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.client import Client
from core.datasets.layouts import TABLES, gather
from core.errors import InvalidRequest
from core.incoming.manifest import Line
from core.progress import Progress
from core.submitting.sending import send_all

# Tables of speakers come with this ending, too.
_TABLES = TABLES | {".txt"}


@dataclass(frozen=True)
class Sent:
    """What came of it; `left_out` has the path of each file that could not be sent, and why."""

    new: int
    known: int
    left_out: tuple[tuple[str, str], ...]


def send_to_collection(
    client: Client, name: str, paths: Sequence[Path], progress: Progress, *, at_once: int = 20_000
) -> Sent:
    """Sends what the service does not have yet, and adds it.

    A single folder is the collection's root: `people/Ann/1.wav` of `people` becomes `Ann/1.wav`. Several folders each
    keep their own name, so that folders of people can be added one by one.

    Raises:
        InvalidRequest: no such folder, or nothing in it that a dataset is made of.
        Conflict: a path is there with another content; what came before it in the order of paths has been added.
    """
    gathered = gather(paths)
    wanted = [file for file in gathered.files if file.kind is not None or file.ending in _TABLES]
    if not wanted:
        raise InvalidRequest("There are no recordings, pictures or tables in there.")
    lines = [Line(file.path, gathered.paths[file.path], file.path) for file in wanted]
    items = send_all(client, lines, lambda done: progress.step("sending", done, len(lines)))
    files = [(item.key, item.recording) for item in items if item.recording is not None]
    left_out = [(one.key, one.message) for one in gathered.left_out]
    left_out += [(item.key, item.error_message or "") for item in items if item.recording is None]
    new = known = 0
    for start in range(0, len(files), at_once):
        added = client.add_to_collection(name, files[start : start + at_once])
        new, known = new + added["new"], known + added["known"]
    return Sent(new, known, tuple(left_out))
