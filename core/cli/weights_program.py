"""Runs `python -m worker.import_weights`, which knows the networks that `core` must not import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

_PATIENCE_SECONDS = 10.0


def make_model_folder(source: Path, arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Makes a model folder from somebody else's weights. Where they cannot be used, the command ends: the program
    has told why.

    Returns:
        `kind`, `name`, `parameters` and `folder`.
    """
    # Without -P, a file `torch.py` in this folder would be taken for torch.
    program = [sys.executable, "-P", "-m", "worker.import_weights", *arguments]
    child = subprocess.Popen(
        [*program, "--out", str(folder), "--", str(source)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    try:
        answer, _ = child.communicate()
    except KeyboardInterrupt:
        # Ctrl-C reached the program, too; it cleans up after itself.
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE_SECONDS)
        raise
    finally:
        child.kill()
    if child.returncode:
        raise typer.Exit(child.returncode)
    return dict(json.loads(answer))
