"""What is wrong with a value, in words for whoever gave it."""

from __future__ import annotations

from pydantic_core import ErrorDetails


def slip_words(slip: ErrorDetails) -> str:
    """Pydantic's sentence, or a plainer one."""
    if slip["type"] == "extra_forbidden":
        return "There is no such setting"
    if slip["type"] == "missing":
        return "It is missing"
    return slip["msg"].removeprefix("Value error, ")
