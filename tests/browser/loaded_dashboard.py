"""Serves dashboards from a process that has them loaded: loading takes seconds, and forking what is loaded none.

Run as a program it reads lines `{"environment": {…}, "folder": "…"}`, forks a gunicorn for each, and answers its
process id. It ends, and all that it started, when nobody can write to it any more.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from core.stack import tether
from tests.conftest import REPOSITORY

_GUNICORN = ["gunicorn", "-c", "python:dashboard.gunicorn_config", "dashboard.wsgi:app"]


def serve(environment: Mapping[str, str], folder: Path) -> psutil.Process:
    """A gunicorn as `gunicorn -c python:dashboard.gunicorn_config dashboard.wsgi:app` starts one."""
    loaded = _loaded()
    assert loaded.stdin is not None and loaded.stdout is not None
    loaded.stdin.write(json.dumps({"environment": dict(environment), "folder": str(folder)}) + "\n")
    loaded.stdin.flush()
    return psutil.Process(int(loaded.stdout.readline()))


@functools.cache
def _loaded() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.browser.loaded_dashboard"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)
    return process


def _main() -> None:
    import dashboard.app  # noqa: F401 - that is what it is for

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is gone at once
    for line in sys.stdin:
        wanted = json.loads(line)
        if not (child := os.fork()):
            _become(wanted["environment"], wanted["folder"])
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _become(environment: dict[str, str], folder: str) -> None:
    """Be gunicorn from now on; does not return."""
    from gunicorn.app.wsgiapp import run

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(tether.PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(_GUNICORN)
    try:
        run()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(0)


if __name__ == "__main__":
    _main()
