"""The head of every page leads only to pages that are there."""

from __future__ import annotations

import re

from flask import Blueprint

from core.people.accounts import Role
from tests.dashboard.conftest import Place


def _links(text: str, name: str) -> list[str]:
    found = re.search(rf'<nav[^>]*aria-label="{name}">(.*?)</nav>', text, re.S)
    return re.findall(r'href="([^"]+)"', found[1]) if found else []


def test_every_link_of_the_head_opens_a_page(sqlite_place: Place) -> None:
    root = sqlite_place.browser("root", Role.ADMIN)
    text = root.get("/jobs").text
    links = _links(text, "Main") + _links(text, "Operate")
    assert {"/jobs", "/new", "/models", "/schedules"} <= set(links)
    assert {link: root.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_a_page_appears_in_the_menu_of_operators_once_it_is_served(sqlite_place: Place) -> None:
    made = Blueprint("made_for_the_test", __name__)
    made.add_url_rule("/workers", "show", lambda: "workers")
    if not any(rule.rule == "/workers" for rule in sqlite_place.app.url_map.iter_rules()):
        sqlite_place.app.register_blueprint(made)
    ops, ada = sqlite_place.browser("ops", Role.OPERATOR), sqlite_place.browser("ada")
    assert "/workers" in _links(ops.get("/jobs").text, "Operate")
    assert _links(ada.get("/jobs").text, "Operate") == []
    assert "/people" not in _links(ops.get("/jobs").text, "Operate")


def test_a_viewer_is_offered_nothing_to_submit(sqlite_place: Place) -> None:
    links = _links(sqlite_place.browser("eve", Role.VIEWER).get("/jobs").text, "Main")
    assert "/jobs" in links
    assert "/new" not in links
