"""The diagram of processes and stores shows those there are, and who speaks to whom as the code does."""

from __future__ import annotations

import re

import grimp
import yaml

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
DIAGRAM, _, BELOW = PAGE.partition("```mermaid\nflowchart LR")[2].partition("```")
ARROWS = re.findall(r"^ +(\w+)\S*(?:.*\))? ?-->\|(\w)\| (\w+)", DIAGRAM, re.MULTILINE)
EXPLAINED = BELOW.partition("\n## ")[0]
# The diagram's word for a server, and the compose file's.
STORES = {"ledger": "postgres", "broker": "valkey", "store": "store"}
# Where each process begins. What Celery includes by name is no import of its app.
ENTRIES = {
    "dashboard": ("dashboard.wsgi",),
    "ticker": ("core.ticker",),
    "worker": ("worker.app", "worker.tasks"),
    "prepare": ("core.bootstrap",),
}
# A process that imports one of these speaks to the server.
SPEAKS = {"ledger": {"core.ledger.database"}, "store": {"core.store"}, "broker": {"core.queue", "redis"}}


def test_the_diagram_has_the_processes_and_stores_of_the_compose_file() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))["services"]
    drawn = {name for begin, _, end in ARROWS for name in (begin, end)} - {"person"}
    assert {STORES.get(name, name) for name in drawn} == {name.removesuffix("-gpu") for name in services}


def test_each_process_begins_where_the_compose_file_begins_it() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))["services"]
    for name, (first, *_) in ENTRIES.items():
        assert any(word.partition(":")[0] == first for word in services[name]["command"]), name


def test_the_arrows_are_what_the_processes_import() -> None:
    graph = grimp.build_graph("core", "worker", "dashboard", include_external_packages=True)
    speaking = set()
    for process, entries in ENTRIES.items():
        imported = set(entries).union(*(graph.find_upstream_modules(entry) for entry in entries))
        speaking |= {frozenset((process, store)) for store, modules in SPEAKS.items() if modules & imported}
    drawn = {frozenset((begin, end)) for begin, _, end in ARROWS if begin != "person"}
    assert drawn == speaking


def test_every_arrow_has_a_letter_of_its_own_that_is_explained() -> None:
    letters = [letter for _, letter, _ in ARROWS]
    assert letters == [chr(ord("a") + place) for place in range(len(letters))]
    assert len(letters) == DIAGRAM.count("-->")
    assert re.findall(r"\*\*(\w)\*\*", EXPLAINED) == letters


def test_every_file_that_explains_an_arrow_is_there() -> None:
    named = re.findall(r"`([\w/.-]+\.(?:py|yml))`", EXPLAINED)
    assert len(named) > 10
    assert not [name for name in named if not (REPOSITORY / name).is_file()]


def test_every_letter_of_the_diagram_of_states_is_explained() -> None:
    diagram, _, below = PAGE.partition("stateDiagram-v2")[2].partition("```")
    drawn = set(re.findall(r": (\w)$", diagram, re.MULTILINE))
    assert set(re.findall(r"\*\*(\w)\*\*", below.partition("\n## ")[0])) == drawn
