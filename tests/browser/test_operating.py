"""The ways of those who run the place, in a real browser: draining a worker, and what retention would remove."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import update

from core.claims.workers import tell_utilisation
from core.ledger.database import now
from core.ledger.tables import Job
from core.people.accounts import Role
from tests.browser.conftest import Visitor
from tests.dashboard.conftest import SOUND, Place

pytestmark = pytest.mark.browser


def test_a_worker_is_drained_finishes_its_chunk_and_claims_again(visitor: Visitor, live_place: Place) -> None:
    live_place.script("ada").job(6, name="six voices")
    worker = live_place.worker()
    with live_place.database.write() as session:
        tell_utilisation(
            session,
            worker.id,
            {"device_name": "Some GPU", "cpu_percent": 31.0, "memory_bytes": 2**30, "gpu_celsius": 64},
        )
    chunk = worker.claim(2)
    assert chunk is not None
    page = visitor.open(live_place.link("olga", Role.OPERATOR))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation").get_by_text("Operate").click()
    page.get_by_role("link", name="Workers").click()
    row = page.locator(f"#{worker.id}")
    expect(row).to_contain_text("Some GPU")
    expect(row).to_contain_text("64 °C")
    expect(row).to_contain_text("0 of 2")
    second = visitor.open("/workers")

    row.get_by_role("button", name="Drain").click()
    expect(row).to_contain_text("Draining")
    expect(second.locator(f"#{worker.id}")).to_contain_text("Draining")  # without anybody asking
    assert worker.finish(chunk) == 2  # what it holds is finished
    expect(row).to_contain_text("Drained")
    expect(row).to_contain_text("Holds nothing")

    queues = visitor.open("/queues")
    expect(queues.locator(".queue")).to_contain_text("Nobody claims from this queue.")
    expect(queues.locator(".queue")).to_contain_text("4 waiting")

    # By the keyboard alone this time.
    back = second.locator(f"#{worker.id}").get_by_role("button", name="Undrain")
    back.focus()
    back.press("Enter")
    expect(second.locator(f"#{worker.id}")).to_contain_text("Idle")
    expect(row).to_contain_text("Idle")
    assert worker.run() == 4


def test_an_admin_makes_a_rule_looks_at_a_dry_run_and_lets_it_happen(
    visitor: Visitor, live_place: Place
) -> None:
    ada = live_place.script("ada")
    jobs = []
    for name, mark in (("old voices", b"old"), ("new voices", b"new")):
        answer = ada.submit([{"key": "a", "recording": ada.send(SOUND + mark)}], name=name)
        jobs.append(answer.json["id"])
    live_place.worker().run()
    with live_place.database.write() as session:
        past = now(session) - timedelta(days=40)
        session.execute(update(Job).where(Job.id == jobs[0]).values(finished_at=past))
    page = visitor.open(live_place.link("root", Role.ADMIN))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("navigation").get_by_text("Operate").click()
    page.get_by_role("link", name="Storage").click()
    page.get_by_role("link", name="Retention").click()
    expect(page.get_by_text("There is no rule: everything stays for good.")).to_be_visible()
    page.get_by_label("What").select_option("faces")
    page.get_by_label("Days").fill("30")
    page.get_by_role("button", name="Keep so long").click()
    expect(page.get_by_role("row", name="Faces all jobs 30 days")).to_be_visible()

    page.get_by_role("link", name="Dry run").click()
    going = page.locator("#going-faces")
    expect(going.get_by_role("link", name="old voices")).to_be_visible()
    expect(going.get_by_role("cell").nth(0)).to_have_text("1")
    expect(page.get_by_text("Nothing was changed.")).to_be_visible()
    assert len(list(live_place.store.keys("jobs/"))) == 6

    # A rule for the job itself keeps it for good; without that rule it goes.
    page.get_by_label("Of which jobs").fill(jobs[0])
    page.get_by_role("button", name="Keep so long").click()
    page.get_by_role("link", name="Dry run").click()
    expect(going.get_by_role("cell").nth(0)).to_have_text("0")
    page.get_by_role("button", name=f"Take back the rule of faces for {jobs[0]}").click()
    page.get_by_role("link", name="Dry run").click()
    page.get_by_role("button", name="Remove it now").click()
    expect(page.get_by_text("Removed 1 face (")).to_be_visible()
    assert len(list(live_place.store.keys("jobs/"))) == 3
    page.goto(f"{visitor.address}/jobs/{jobs[0]}")
    expect(page.get_by_text("The faces of this job were removed")).to_be_visible()
    page.goto(f"{visitor.address}/jobs/{jobs[1]}")
    expect(page.locator("img").first).to_be_visible()
