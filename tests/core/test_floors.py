"""Import-linter holds modules of core to floors, but looks only at those that have one; this holds that all do."""

from __future__ import annotations

import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_module_of_core_has_a_floor_and_nothing_else_has() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (floors,) = [one["layers"] for one in contracts if one["name"].startswith("Inside core")]
    named = [one.strip() for floor in floors for one in floor.split("|")]
    assert len(named) == len(set(named))
    for file in sorted((REPOSITORY / "core").rglob("*.py")):
        if file.name == "__init__.py":
            continue
        parts = file.relative_to(REPOSITORY).with_suffix("").parts
        above = {".".join(parts[:length]) for length in range(2, len(parts) + 1)}
        assert len(above & set(named)) == 1, f"{'.'.join(parts)} is to be on one floor of pyproject.toml"
    gone = [one for one in named if not _is_there(one)]
    assert not gone


def _is_there(module: str) -> bool:
    place = REPOSITORY.joinpath(*module.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()
