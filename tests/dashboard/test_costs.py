"""Costs as people and scripts see them: of a job, before one is made, and nothing where there are no prices."""

from __future__ import annotations

import pytest

from core.costs import charge
from core.ledger.tables import Job
from dashboard.app import create_app
from tests.dashboard.conftest import Client, Place, Script

PRICES = {"price_per_gpu_hour": 1.8, "price_per_cpu_hour": 0.36, "price_per_gb_month": 0.02}


def priced(place: Place) -> Place:
    """The same place, with a dashboard that knows prices."""
    app = create_app(place.settings.model_copy(update=PRICES))
    app.test_client_class = Client
    return Place(app, place.settings, place.database, place.store, place.users)


def test_what_a_job_cost_is_told_where_there_are_prices_and_nowhere_else(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    job = ada.job(3)
    sqlite_place.worker().run()
    with sqlite_place.database.write() as session:
        charge(session, job, "cpu", 600)
    bare = ada.get(f"/api/v1/jobs/{job}").json
    assert bare["cost"] is None
    assert (bare["cpu_seconds"], bare["gpu_seconds"]) == (600.0, None)
    assert 'id="cost"' not in sqlite_place.browser().get(f"/jobs/{job}").text

    place = priced(sqlite_place)
    rich = Script(place.app, ada.token)
    cost = rich.get(f"/api/v1/jobs/{job}").json["cost"]
    assert cost["work"] == pytest.approx(0.06)
    assert cost["per_thousand"] == pytest.approx(20.0)
    assert cost["storage_a_month"] > 0
    assert cost["sentence"].startswith("About 0.06 EUR, which is 20.00 EUR for 1,000 faces")
    assert rich.get("/api/v1/jobs").json["data"][0]["cost"] is None
    page = place.browser().get(f"/jobs/{job}").text
    assert "20.00 EUR for 1,000 faces" in page
    assert "At the prices set here." in page
    with place.database.read() as session:
        assert session.get_one(Job, job).cpu_seconds == 600

    asked = rich.get("/api/v1/estimate?items=2000").json["cost"]
    assert asked["currency"] == "EUR"
    assert asked["work"] == pytest.approx(2 * asked["per_thousand"])
    assert ada.get("/api/v1/estimate?items=2000").json["cost"] is None


def test_a_training_that_runs_shows_what_it_cost_so_far(sqlite_place: Place) -> None:
    from datetime import timedelta

    from core.ledger.tables import Attempt
    from tests.factories import Ledger

    sqlite_place.script()
    program = Ledger(sqlite_place.database, sqlite_place.users).training()
    with sqlite_place.database.write() as session:
        attempt = session.get_one(Attempt, program.attempt_id)
        attempt.started_at -= timedelta(hours=10)
    page = priced(sqlite_place).browser().get(f"/jobs/{program.job_id}").text
    assert "About 3.60 EUR." in page
    assert "So far, at the prices set here." in page
