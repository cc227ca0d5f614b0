"""The simulation of many workers, at a small size: what it measures has really happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulation import Point, audit, measure
from benchmarks.simulation_backlog import fill, prepare, waiting
from benchmarks.simulation_pictures import draw, figure_of
from benchmarks.simulation_server import connected
from tests.ledgers import make_ledger
from tests.servers import Postgres

ITEMS = 500


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(made=False) as url:
        make_ledger(url)
        yield url


def test_simulated_workers_claim_and_publish_what_they_are_told_to_have_done(url: str) -> None:
    prepare(url, owners=2)
    fill(url, ITEMS, jobs=3)
    point = Point(backlog=ITEMS, jobs=3, workers=5, rate=0.0, chunk=8)
    result = measure(url, point, warm=0.0, seconds=1.0, processes=1, least=300)

    audit(url)
    with connected(url) as connection:
        published, drawings, held = connection.execute(
            "SELECT sum(done), (SELECT count(*) FROM drawings), sum(leased) FROM jobs WHERE queue = 'gpu'"
        ).fetchone() or (0, 0, 0)
        workers = connection.execute("SELECT count(*), count(ended_at) FROM workers").fetchone()
    assert workers == (5, 5)
    assert 0 < round(result["items_per_second"] * result["seconds"]) <= published
    assert drawings == published
    assert held == 0, "a worker that is stopped publishes what it has"
    assert result["milliseconds"]["claim"]["p50"] <= result["milliseconds"]["claim"]["p99"]
    assert (result["lost"], result["deadlocks"]) == (0, 0)
    assert result["tables"]["items"]["updated"] > 0


def test_a_large_backlog_leaves_the_tables_as_a_small_one_does(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(url, owners=1)
    before = _shape(url)
    monkeypatch.setattr("benchmarks.simulation_backlog._LARGE", ITEMS - 1)
    fill(url, ITEMS, jobs=2)
    assert _shape(url) == before
    with connected(url) as connection:
        assert waiting(connection) == ITEMS
        pending = connection.execute(
            "SELECT count(*), count(DISTINCT recording_sha256) FROM items JOIN jobs ON jobs.id = job_id "
            "WHERE queue = 'gpu' AND items.state = 'pending'"
        ).fetchone()
    assert pending == (ITEMS, ITEMS)


def _shape(url: str) -> tuple[list[str], list[str]]:
    """The indices and constraints of a ledger."""
    with connected(url) as connection:
        indexes = connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'").fetchall()
        constraints = connection.execute(
            "SELECT conrelid::regclass || ' ' || conname || ' ' || "
            "replace(pg_get_constraintdef(oid), ' NOT VALID', '') "
            "FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        ).fetchall()
    return sorted(text for (text,) in indexes), sorted(text for (text,) in constraints)


def test_what_is_kept_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = Point(backlog=100, jobs=1, workers=2, rate=0.0, chunk=32)
    file = tmp_path / "numbers.json"
    file.write_text(f'{{"{point.name}": {{}}}}')

    def refuse(*_: object) -> None:
        raise AssertionError("it began to measure")

    monkeypatch.setattr("benchmarks.simulation.fresh_server", refuse)
    given = ["simulation", "--backlog", "100", "--jobs", "1", "--workers", "2", "--keep", str(file)]
    monkeypatch.setattr("sys.argv", given)
    from benchmarks.simulation import main

    main()
    monkeypatch.setattr("sys.argv", [*given, "--again"])
    with pytest.raises(AssertionError, match="began to measure"):
        main()


def test_curves_are_drawn_of_workers_of_both_kinds_and_show_every_point(tmp_path: Path) -> None:
    results = [
        {
            "backlog": 100,
            "jobs": 2,
            "workers": workers,
            "rate": rate,
            "chunk": 32,
            "items_per_second": 10.0 * workers,
            "waiting_connections": {"Lock: tuple": workers, "none: at work": 1.0},
            "milliseconds": {
                what: {"p50": 5.0 * workers, "p99": 90.0 * workers} for what in ("claim", "publish")
            },
        }
        for rate in (0.0, 2.0)
        for workers in (1, 10, 200)
    ]
    drawn = draw(results, tmp_path)
    assert [file.name for file in drawn] == ["simulation-flat-out.svg", "simulation-paced.svg"]
    once = [file.read_bytes() for file in drawn]
    assert [file.read_bytes() for file in draw(results[::-1], tmp_path)] == once
    figure = figure_of(results[:3])
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for line in axes.lines:
            values: Any = line.get_ydata()
            assert all(low <= value <= high for value in values), axes.get_title()
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "linear", "log", "log"]
    assert max(figure.axes[2].get_ylim()) < 1e6
