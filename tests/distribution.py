"""Which of several processes tests which file, and when: long ones first, those that mostly wait beside all others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# Files of few tests that take long. A process that began with one of them at the very end would leave the others with
# nothing to do.
LONG_FILES = (
    "tests/worker/training/test_program.py",
    "tests/browser/test_every_page.py",
    "tests/worker/training/test_resuming.py",
    "tests/worker/training/test_default_model.py",
    "tests/browser/test_submitting.py",
    "tests/worker/test_retraining.py",
    "tests/worker/training/test_training_jobs.py",
    "tests/browser/test_watching.py",
    "tests/browser/test_gallery.py",
)
# Files whose tests mostly wait: for leases to run out, for programs to start, stop or die. They leave a core to others.
WAITING_FILES = (
    "tests/faults/test_rounds.py",
    "tests/end_to_end/test_stack_crashes.py",
    "tests/faults/test_postgres.py",
    "tests/core/stack/test_supervisor.py",
    "tests/end_to_end/test_stack_start.py",
    "tests/deploy/test_same_processes.py",
    "tests/worker/programs/test_stopping.py",
    "tests/worker/programs/test_ends.py",
    "tests/worker/programs/test_beside.py",
    "tests/worker/test_supervisor.py",
    "tests/core/test_webhooks.py",
    "tests/faults/test_stopped_writer.py",
    "tests/end_to_end/test_bulk_inference.py",
    "tests/end_to_end/test_bad_inputs.py",
)
LEAST_PROCESSES = 3


def put_in_order(items: list[pytest.Item], root: Path) -> None:
    """Long files come first, and all others after them in their order.

    Raises:
        UsageError: a file that is named above is not there any more.
    """
    files = [root / file for file in (*WAITING_FILES, *LONG_FILES)]
    if gone := [str(file) for file in files if not file.is_file()]:
        raise pytest.UsageError(f"tests/distribution.py names files that are not there: {', '.join(gone)}")
    place = {file: number for number, file in enumerate(files)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


class WaitingBeside(LoadFileScheduling):
    """Gives one process the files whose tests mostly wait, as long as there are any, and the others all other files.

    So there is work for every core all the time, and never much more than that. Of fewer than `LEAST_PROCESSES` each is
    given whatever comes next.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.numnodes >= LEAST_PROCESSES:
            waits = node is self.nodes[-1]
            fitting = (file for file in self.workqueue if (file in WAITING_FILES) == waits)
            self.workqueue.move_to_end(next(fitting, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)


def scheduler(config: pytest.Config, log: Any) -> WaitingBeside | None:
    """For `--dist loadfile`; None for any other."""
    return WaitingBeside(config, log) if config.getoption("dist") == "loadfile" else None
