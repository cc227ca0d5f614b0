"""Paths that try to leave where they are: on every route with a part that somebody may choose."""

from __future__ import annotations

import itertools
import re

import pytest
from sqlalchemy import select

from core.ledger.tables import Base
from core.people.accounts import Role
from dashboard.api import events
from tests.dashboard.conftest import Place

_TRICKS = (
    "..",
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "%252e%252e%252fetc%252fpasswd",
    "....//....//etc/passwd",
    "%2fetc%2fpasswd",
    "a%00b",
    "%00",
    "CON",
    "a%0d%0aSet-Cookie:%20x=1",
    "%c0%ae%c0%ae%2fetc%2fpasswd",
    "%ef%bc%8e%ef%bc%8e%2fetc",  # full stops of another width
    "%e2%80%ae%67%6e%70",  # written from right to left
    "%ff%fe",
    "x" * 3000,
    "'; DROP TABLE jobs; --",
    "%27%20OR%20%271%27=%271",
    "99999999999999999999999999",
    "-1",
)
_TRIED_ON_EACH = 5


def test_no_path_leads_out_or_breaks_anything(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.0)
    root = place.script("root", Role.ADMIN)
    root.job(1)
    place.worker().run()
    before, stored = _rows(place), sorted(place.store.keys())
    tricks = itertools.cycle(_TRICKS)
    tried = 0
    for rule in sorted(place.app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if not rule.arguments:
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            for trick in itertools.islice(tricks, _TRIED_ON_EACH):
                path = re.sub("<[^>]+>", lambda _, trick=trick: trick, rule.rule)
                extra = {} if method in ("GET", "DELETE") else {"json": {}}
                answer = root.ask(method, path, **extra)
                told = (method, path[:120], answer.status_code)
                assert answer.status_code < 500, told
                assert "root:x:" not in answer.text, told
                assert not [one for one in answer.headers.getlist("Set-Cookie") if "x=1" in one], told
                if method != "GET":
                    assert answer.status_code >= 400, told
                tried += 1
    assert tried > 400
    assert sorted(place.store.keys()) == stored
    assert _rows(place) == before


def _rows(place: Place) -> dict[str, list[str]]:
    """All that there is; when a token was last used, and that it was refused, may be noted."""
    with place.database.read() as session:
        return {
            table.name: sorted(repr(tuple(row)) for row in session.execute(select(table)))
            for table in Base.metadata.sorted_tables
            if table.name not in ("secrets", "storage_sums")
        }
