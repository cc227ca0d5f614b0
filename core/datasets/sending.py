"""From a folder of people to a job that prepares it: planned here first, so that only what is needed is sent.

The service makes the plan again, of the same names and the same contents; what is found wrong here was never sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.client import Client
from core.client_views import JobView
from core.datasets.layouts import TABLES, Gathered, LayoutOptions, gather, plan_gathered
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe
from core.datasets.specs import NewDataset, NewDatasetFile
from core.incoming.manifest import Line
from core.progress import Progress, Silent
from core.submitting.sending import send_all

# Tables of speakers come with this ending, too.
_SENT_ENDINGS = TABLES | {".txt"}


@dataclass(frozen=True)
class LocalPlan:
    """What would be prepared of files of this machine."""

    plan: Plan
    gathered: Gathered


def plan_paths(paths: Sequence[Path], recipe: Recipe, layout: str, options: LayoutOptions) -> LocalPlan:
    """Plans folders or a manifest without sending anything.

    Raises:
        InvalidRequest: what `core.datasets.layouts.plan_files` refuses.
    """
    gathered = gather(paths)
    return LocalPlan(plan_gathered(gathered, recipe, layout, options), gathered)


def send_dataset(
    client: Client,
    local: LocalPlan,
    *,
    name: str,
    options: LayoutOptions,
    priority: int = 0,
    progress: Progress | None = None,
) -> JobView:
    """Sends what the plan needs and makes the job.

    Raises:
        InvalidRequest: the service does not take it.
        ServiceUnreachable: nothing was made.
    """
    progress = progress or Silent()
    plan, gathered = local.plan, local.gathered
    needed = {entry.key for entry in plan.entries}
    needed |= {key for entry in plan.entries for key, _ in entry.companions.values()}
    needed |= {file.path for file in gathered.files if file.ending in _SENT_ENDINGS}
    lines = [Line(path, gathered.paths[path], path) for path in sorted(needed)]
    items = send_all(client, lines, lambda done: progress.step("sending", done, len(lines)))
    files = [
        NewDatasetFile(
            path=item.key,
            recording=item.recording,
            error_code=item.error_code,
            error_message=item.error_message,
        )
        for item in items
    ]
    files += [NewDatasetFile(path=file.path) for file in gathered.files if file.path not in needed]
    files += [
        NewDatasetFile(path=one.key, error_code=one.reason, error_message=one.message)
        for one in gathered.left_out
    ]
    wanted = NewDataset(
        name=name,
        layout=plan.layout,
        columns=dict(options.columns),
        faces=options.faces,
        manifest=gathered.manifest,
        recipe=plan.recipe,
        priority=priority,
        files=files,
    )
    return client.prepare_dataset(wanted.model_dump(mode="json"), idempotency_key=uuid.uuid4().hex)
