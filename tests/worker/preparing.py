"""Preparing a folder by the program, and looking at what came of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from worker.prepare import main

QUICK = '{"voice":{"features":["waveform"]},"face":{"size":32},"shard_entries":6}'
VOICES = '{"voice":{"features":["ve_conv","ast"]},"face":null,"shard_entries":6}'


def run(root: Path, out: Path, *more: str, recipe_json: str = QUICK) -> int:
    return main([str(root), "--out", str(out), "--recipe-json", recipe_json, "--device", "cpu", *more])


def content_of(out: Path) -> dict[str, str]:
    """Every file of a dataset by its hash, without what is kept for the next run."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".progress" not in path.parts
    }


def report_of(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_bytes())
    return report


def rejects_of(out: Path) -> dict[str, str]:
    return {reject["key"]: reject["reason"] for reject in report_of(out)["rejects"]}
