"""The table of networks says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.networks import DEFAULT_MODEL, network_size
from worker.ml.networks.catalogue import KINDS

PAGE = Path(__file__).resolve().parents[4] / "docs" / "networks.md"


def rows() -> dict[str, list[str]]:
    """The cells of the table's rows, by network."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == 7}


def test_every_network_is_in_the_table() -> None:
    assert set(rows()) == {*KINDS, DEFAULT_MODEL}


@pytest.mark.parametrize("kind", [*KINDS, DEFAULT_MODEL])
def test_the_table_holds_the_numbers_of_the_code(kind: str) -> None:
    given, answer, parameters, gflop, source, _ = rows()[kind]
    size = network_size(kind)
    assert given.startswith(f"{size.given} ") and answer.startswith(f"{size.answer} ")
    assert (parameters, gflop) == (f"{size.parameters:,}", f"{size.gflop:.2f}")
    assert source
