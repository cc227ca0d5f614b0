"""The links at the head of every page: only to pages that this app serves and that the viewer may open."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from core.ledger.tables import User
from core.people.accounts import Role
from core.people.tokens import role_level
from dashboard.permissions import reach

_EVERYBODY, _SENDERS, _OPERATORS, _ADMINS = (
    role_level(role.value) for role in (Role.VIEWER, Role.SUBMITTER, Role.OPERATOR, Role.ADMIN)
)

# Key (a page names itself by it in `active`), path, words, and how far somebody must reach for it.
_MAIN = (
    ("jobs", "/jobs", "Jobs", _EVERYBODY),
    ("new", "/new", "New job", _SENDERS),
    ("datasets", "/datasets", "Datasets", _EVERYBODY),
    ("training", "/trainings", "Training", _EVERYBODY),
    ("evaluations", "/evaluations", "Evaluations", _EVERYBODY),
    ("models", "/models", "Models", _EVERYBODY),
    ("schedules", "/schedules", "Schedules", _EVERYBODY),
)
_OPERATE = (
    ("workers", "/workers", "Workers", _OPERATORS),
    ("queues", "/queues", "Queues", _OPERATORS),
    ("storage", "/storage", "Storage", _OPERATORS),
    ("people", "/people", "People", _ADMINS),
    ("audit", "/audit", "Audit", _OPERATORS),
    ("health", "/health", "Health", _OPERATORS),
)


@dataclass(frozen=True)
class Link:
    key: str
    path: str
    words: str


def main_links(user: User) -> list[Link]:
    return _links(_MAIN, user)


def operate_links(user: User) -> list[Link]:
    """What the menu "Operate" holds; empty for those who run nothing."""
    return _links(_OPERATE, user)


def link_words() -> list[str]:
    """What the links are called, for those who translate."""
    return [words for _, _, words, _ in (*_MAIN, *_OPERATE)]


def has_page(path: str) -> bool:
    """Whether this app serves a page without parameters at exactly this path."""
    return path in _served()


def _served() -> set[str]:
    return {rule.rule for rule in current_app.url_map.iter_rules() if "GET" in (rule.methods or ())}


def _links(rows: tuple[tuple[str, str, str, int], ...], user: User) -> list[Link]:
    served, reached = _served(), reach(user)
    return [
        Link(key, path, words) for key, path, words, needed in rows if path in served and reached >= needed
    ]
