"""The diagram people read and the table the code obeys are the same."""

from __future__ import annotations

import re
from pathlib import Path

from core.states import (
    ITEM_FINAL,
    ITEM_MOVES,
    ITEM_RETRYABLE,
    JOB_FINAL,
    JOB_MOVES,
    ItemState,
    JobState,
)

ARCHITECTURE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


def test_the_diagram_of_job_states_shows_exactly_the_allowed_moves() -> None:
    diagram = ARCHITECTURE.read_text().split("stateDiagram-v2")[1].split("```")[0]
    drawn = set(re.findall(r"^\s+(\w+) --> (\w+): \w$", diagram, flags=re.MULTILINE))
    allowed = {(old.value, new.value) for old, targets in JOB_MOVES.items() for new in targets}
    assert drawn == allowed


def test_every_state_can_be_reached_and_every_unfinished_one_left() -> None:
    assert set(JOB_MOVES) == set(JobState)
    assert set(ITEM_MOVES) == set(ItemState)
    reached = {JobState.VALIDATING} | {new for targets in JOB_MOVES.values() for new in targets}
    assert reached == set(JobState)
    assert all(JOB_MOVES[state] for state in JobState if state not in JOB_FINAL)


def test_an_item_with_a_face_never_loses_it() -> None:
    assert ITEM_MOVES[ItemState.DONE] == ITEM_MOVES[ItemState.CACHED] == frozenset()
    assert ITEM_RETRYABLE < ITEM_FINAL
