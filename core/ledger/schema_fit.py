"""Whether the ledger's tables are those that this code was written for.

A ledger that is ahead is no reason to stop: during an upgrade the old processes go on with the new tables, which only
ever gain something. One that is behind lacks what this code asks for.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

_VERSIONS = Path(__file__).resolve().parents[2] / "migrations" / "versions"
_REVISION = re.compile(r"^revision(?:\s*:\s*str)?\s*=\s*[\"'](\w+)[\"']", re.M)


class Fit(StrEnum):
    """How the tables and the code go together."""

    FITS = "fits"
    EMPTY = "empty"  # nothing was ever made there
    BEHIND = "behind"
    AHEAD = "ahead"
    UNKNOWN = "unknown"  # no migrations lie beside this code: an image of a worker has none


@cache
def known_revisions(folder: Path = _VERSIONS) -> tuple[str, ...]:
    """The revisions that this code knows, oldest first; their names sort as they follow one another."""
    found = [_REVISION.search(path.read_text("utf-8")) for path in sorted(folder.glob("[0-9]*.py"))]
    return tuple(one[1] for one in found if one is not None)


def revision_of(session: Session) -> str | None:
    """The revision of the ledger; None where no tables were ever made."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    found = session.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found) if found is not None else None


def fit_of(session: Session) -> Fit:
    """How the ledger of this session goes with this code."""
    return compare(revision_of(session), known_revisions())


def compare(revision: str | None, known: tuple[str, ...]) -> Fit:
    if revision is None:
        return Fit.EMPTY
    if not known:
        return Fit.UNKNOWN
    if revision == known[-1]:
        return Fit.FITS
    return Fit.BEHIND if revision in known else Fit.AHEAD
