"""Where a trained model comes from: what it was made of, by which code, with which libraries."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
# What a training runs through; the dashboard changes no weights.
_PACKAGES = ("core", "worker")
_LIBRARIES = (
    "accelerate",
    "numpy",
    "safetensors",
    "scipy",
    "soundfile",
    "torch",
    "torchaudio",
    "transformers",
)
_GIT_SECONDS = 10


def describe(
    *,
    spec: Mapping[str, Any],
    dataset: tuple[str, str],
    parent: tuple[str, str] | None = None,
    models: Mapping[str, tuple[str, str]] | None = None,
    job: tuple[str, str] | None = None,
    role: str = "",
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The lineage of a model, as `register_trained` takes it. Call it where the training ran.

    Args:
        spec: the whole TrainSpec as JSON.
        dataset: label and SHA-256 of the dataset version.
        parent: label and SHA-256 of the version whose weights it began with.
        models: label and SHA-256 of each model that helped, by what the spec calls it, such as `face_encoder`.
        job: id and name.
        role: which of the trained networks this is, where there are several.
        training: the end of the training as it told it: `best`, `steps`, `epochs`, `seconds`.
    """
    return {
        "dataset": _named(dataset),
        "parent": _named(parent) if parent is not None else None,
        "models": {name: _named(one) for name, one in (models or {}).items()},
        "job": {"id": job[0], "name": job[1]} if job is not None else None,
        "role": role,
        "spec": dict(spec),
        "training": dict(training or {}),
        "code": code_version(),
        "libraries": library_versions(),
    }


@cache
def code_version() -> dict[str, Any]:
    """Which code runs here: the package's version, the git revision where there is one, a hash of the sources.

    `changed` says whether the sources differ from that revision; None where there is no git to tell.
    """
    revision = _git("rev-parse", "HEAD") if (_ROOT / ".git").exists() else None
    status = _git("status", "--porcelain", "--", *_PACKAGES) if revision else None
    return {
        "version": _version("voicesketch"),
        "revision": revision,
        "changed": bool(status) if status is not None else None,
        "sources_sha256": _sources_sha256(),
    }


@cache
def library_versions() -> dict[str, str]:
    """The interpreter and the libraries that numbers depend on, as far as they are installed."""
    found = {name: _version(name) for name in _LIBRARIES}
    return {
        "python": platform.python_version(),
        **{name: number for name, number in found.items() if number is not None},
    }


def _sources_sha256() -> str:
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            name = path.relative_to(_ROOT).as_posix()
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(_ROOT), *arguments],  # noqa: S607 - whichever git is installed
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _named(one: tuple[str, str]) -> dict[str, str]:
    label, sha256 = one
    return {"label": label, "sha256": sha256}
