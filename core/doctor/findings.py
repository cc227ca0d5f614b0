"""A finding, and the form in which all of them are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that will be.

    Attributes:
        code: stable; scripts may rely on it.
        part: what it is about, by the names that the page of health uses where it has one.
        says: a sentence.
        do: what helps.
        severity: a problem keeps something from working; a warning does not, yet.
    """

    code: str
    part: str
    says: str
    do: str
    severity: Literal["problem", "warning"] = "problem"

    def sentence(self) -> str:
        return f"{self.part}: {self.says} {self.do}"
