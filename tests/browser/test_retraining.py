"""A retraining in a browser, from its schedule to the model that draws, and back to the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from core.ledger.tables import DatasetVersion, Job, ModelVersion
from core.ledger.training_tables import AuditEntry
from core.people.accounts import Role
from core.ticker import Scheduling
from tests.browser.conftest import Visitor
from tests.core.models.registry_place import Registry, metric
from tests.core.schedules.scheduling_place import SchedulingPlace
from tests.core.schedules.test_advancing import prepared, trained
from tests.dashboard.conftest import Place
from tests.factories import Ledger

pytestmark = pytest.mark.browser


def test_a_schedule_is_run_now_and_what_it_trained_is_promoted_and_rolled_back(
    visitor: Visitor, live_place: Place, tmp_path: Path
) -> None:
    olga = live_place.script("olga", Role.OPERATOR)
    ledger = Ledger(live_place.database, live_place.users)
    workers = SchedulingPlace(ledger, live_place.store, live_place.settings)
    workers.clock.at = datetime.now(UTC)
    ticker = Scheduling(live_place.database, live_place.store, live_place.settings)
    registry = Registry(ledger, live_place.store, tmp_path)

    def production_draws(label: str) -> None:
        """What a job gets that somebody submits now."""
        job_id = olga.job(1)
        with live_place.database.read() as session:
            job = session.get_one(Job, job_id)
            assert session.get_one(ModelVersion, job.model_version_id or "").label == label

    page = visitor.open(live_place.link("olga", Role.OPERATOR))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("link", name="Make a schedule").click()
    page.locator("#name").fill("weekly")
    page.get_by_label("Cron expression").fill("0 3 * * 1")
    page.locator("#preset").select_option("default")
    page.get_by_label("Name of the model").fill("drawer")
    page.get_by_label("Promote what passes").uncheck()
    page.get_by_role("button", name="Make the schedule").click()
    expect(page.get_by_role("heading", name="weekly")).to_be_visible()

    # Nobody waits until Monday. The page follows the run by itself.
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".run")).to_contain_text("Waiting")
    ticker.round()
    expect(page.locator(".run")).to_contain_text("Preparing")
    prepared(workers)
    ticker.round()
    expect(page.locator(".run")).to_contain_text("Training")
    production_draws("default@1")
    with live_place.database.read() as session:
        dataset = session.scalars(select(DatasetVersion)).one()
        training = session.scalars(select(Job).where(Job.kind == "train")).one()
        before = session.get_one(ModelVersion, "model_default_1")
    made = registry.trained("drawer", b"drawn", job_id=training.id, dataset_version_id=dataset.id)
    registry.evaluation(made, dataset, {"matching.voice_to_face.2": metric(0.81, 0.78, 0.84)})
    registry.evaluation(before, dataset, {"matching.voice_to_face.2": metric(0.6, 0.55, 0.65)})
    trained(workers, version=made.label, gate={"sentence": "It finds more faces."})
    ticker.round()
    expect(page.locator(".run")).to_contain_text("drawer@1 is kept as a candidate. It finds more faces.")

    # What it made is one click away, with what it was made of, and what it is measured against.
    page.locator(".run").get_by_role("link", name="drawer@1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("drawer@1")
    expect(page.get_by_role("link", name="people@1").first).to_be_visible()
    expect(page.get_by_role("row", name="Finds the face of a voice among 2").first).to_contain_text(
        "this one"
    )
    page.get_by_text("Promote…").click()
    page.get_by_label("Why").fill("twenty points better")
    page.get_by_role("button", name="Promote drawer@1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("production")
    expect(page.get_by_text("“twenty points better”")).to_be_visible()
    production_draws("drawer@1")

    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_text("Roll back…").click()
    page.get_by_role("button", name="Roll back to default@1").click()
    expect(page.locator("#alias-production")).to_contain_text("default@1")
    expect(page.get_by_text("Roll back…")).to_have_count(0)
    production_draws("default@1")
    with live_place.database.read() as session:
        done = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert [action for action in done if action.startswith(("schedule.", "model."))] == [
        "schedule.create",
        "schedule.run",
        "schedule.run.kept",
        "model.promote",
        "model.rollback",
    ]
