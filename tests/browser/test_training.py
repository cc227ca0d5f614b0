"""The way of somebody who trains a model and watches it, in a real browser. A test writes what its program tells."""

from __future__ import annotations

import io
import math

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.people.accounts import Role
from core.states import JobState
from tests.browser.conftest import Visitor
from tests.dashboard.conftest import Place
from tests.factories import Ledger
from tests.programs import Program

pytestmark = pytest.mark.browser


def sign_in(visitor: Visitor, place: Place) -> Page:
    page = visitor.open(place.link("ada", Role.OPERATOR))
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/jobs")
    return page


def picture(epoch: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (320, 160), (20 * epoch, 90, 120)).save(content, "PNG")
    return content.getvalue()


def epoch_of(program: Program, epoch: int, place: Place) -> None:
    """What a program tells in an epoch of ten steps."""
    steps = range(10 * epoch - 9, 10 * epoch + 1)
    program.curve(
        {
            "train/total": [(n, n / 10, math.exp(-n / 20)) for n in steps],
            "train/identity": [(n, n / 10, math.exp(-n / 30)) for n in steps],
            "learning_rate": [(n, n / 10, 0.001) for n in steps],
            "validation/total": [(10 * epoch, float(epoch), math.exp(-epoch / 2) + 0.1)],
        }
    )
    name = f"samples/validation-epoch-{epoch:05}.png"
    program.leaves(name, "sample", picture(epoch), "image/png", step=10 * epoch, store=place.store)
    program.says(f"Epoch {epoch} is done.")
    program.tells(10 * epoch, 50, epoch=epoch, epochs=5, eta_seconds=60.0 * (5 - epoch), doing="training")


def layout(page: Page) -> list[list[float]]:
    found: list[list[float]] = page.evaluate(
        "[...document.querySelectorAll('.plot, .samples, .outcome > .card, .log, .progress')].map(e => {"
        " const b = e.getBoundingClientRect(); return [b.left, b.top + scrollY, b.width, b.height]; })"
    )
    return found


def test_from_a_wrong_value_to_curves_that_move_and_a_cancel_that_all_windows_see(
    visitor: Visitor, live_place: Place
) -> None:
    ledger = Ledger(live_place.database, live_place.users)
    live_place.user("ada", Role.OPERATOR)
    ledger.dataset("clips")
    ledger.dataset("pictures", features=("picture",))
    page = sign_in(visitor, live_place)
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_role("heading", name="Nothing was trained yet")).to_be_visible()
    page.get_by_role("link", name="Train a model").click()

    # A recipe is chosen, and with it the datasets that fit; the others say what they lack.
    page.locator(".task summary", has_text="Matching").click()
    page.get_by_role("radio", name="Matching, small").check()
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("30")
    expect(page.get_by_role("radio", name="pictures@1")).to_be_disabled()
    expect(page.locator(".pick-off")).to_contain_text("lacks waveforms")
    expect(page.get_by_role("radio", name="clips@1")).to_be_checked()
    expect(page.get_by_label("Name of the model")).to_have_value("matching")

    # Whatever is wrong is said beside it, by the page or by the API, while it is written.
    epochs = page.locator('[data-at="recipe.loop.epochs"]')
    page.get_by_label("Epochs", exact=True).fill("many")
    expect(epochs.locator(".why")).to_have_text("This should be a number.")
    page.get_by_label("Epochs", exact=True).fill("0")
    expect(epochs.locator(".why")).to_contain_text("greater than or equal to 1")
    page.get_by_label("Name of the model").fill("two words")
    expect(page.locator('[data-at="model"] .why')).to_contain_text("match pattern")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_label("Name of the model")).to_be_focused()
    page.get_by_label("Name of the model").fill("voices")
    page.get_by_label("Epochs", exact=True).fill("5")
    expect(page.locator("#submit-hint")).to_have_text("Everything fits.")

    # So it is where a setting is folded away: its fold opens.
    page.locator('[data-group="machine"] > summary').click()
    page.get_by_label("Loader threads").fill("900")
    expect(page.locator('[data-group="machine"] .changed')).to_have_text("1 changed")
    page.locator('[data-group="machine"] > summary').click()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_label("Loader threads")).to_be_focused()
    page.get_by_label("Loader threads").fill("2")
    page.get_by_role("button", name="Train", exact=True).click()

    # The page waits, then moves with what the program tells, in both windows.
    expect(page.get_by_role("heading", name="train voices")).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Waiting")
    expect(page.locator("#curves-none")).to_be_visible()
    program = ledger.takes_up(page.url.rsplit("/", 1)[1])
    epoch_of(program, 1, live_place)
    expect(page.locator(".chip")).to_have_text("Training")
    expect(page.locator(".plot")).to_have_count(3)
    expect(page.locator('.plot[data-term="total"] .plot-keys')).to_contain_text(
        "training 0.607validation 0.707"
    )
    expect(page.locator("#sample")).to_have_attribute(
        "alt", "Samples of epoch 1, step 10: what they should look like, beside what was drawn"
    )
    other = visitor.open(page.url)
    expect(other.locator(".plot")).to_have_count(3)
    page.bring_to_front()
    expect(page.locator("#summary")).to_contain_text("epoch 1 of 5")
    before = layout(page)
    for epoch in (2, 3):
        epoch_of(program, epoch, live_place)
    expect(page.locator("#summary")).to_contain_text("step 30 of 50")
    expect(page.locator('.plot[data-term="total"] .plot-keys')).to_contain_text("training 0.223")
    expect(page.locator("#log")).to_contain_text("Epoch 3 is done.")
    assert layout(page) == before

    # Earlier pictures, by the keyboard; a new one does not take away the one that is looked at.
    page.get_by_role("button", name="Earlier epoch").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#sample-words")).to_have_text("epoch 2, step 20")
    epoch_of(program, 4, live_place)
    expect(page.locator("#summary")).to_contain_text("step 40 of 50")
    expect(page.locator("#sample-at")).to_have_js_property("max", "3")
    expect(page.locator("#sample-words")).to_have_text("epoch 2, step 20")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#sample-words")).to_have_text("epoch 4, step 40")
    page.get_by_label("Log scale").check()

    # Cancelled here, seen there; then it can be resumed.
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    for window in (page, other):
        window.bring_to_front()
        expect(window.locator(".chip")).to_have_text("Stopping")
    program.leaves("checkpoints/00000040.safetensors", "checkpoint", b"weights", step=40)
    program.ends(JobState.CANCELLED)
    for window in (page, other):
        window.bring_to_front()
        expect(window.locator(".chip")).to_have_text("Cancelled")
        expect(window.locator("#outcome")).to_contain_text("step 40")
    page.bring_to_front()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".chip")).to_have_text("Waiting")
    page.get_by_role("link", name="Training").first.click()
    expect(page.locator(".training-row")).to_contain_text("epoch 4 of 5")
    expect(page.locator(".spark")).to_have_attribute("aria-label", "Loss, now 0.235")


def test_every_page_fits_a_phone_and_both_themes(visitor: Visitor, live_place: Place) -> None:
    ledger = Ledger(live_place.database, live_place.users)
    live_place.user("ada", Role.OPERATOR)
    dataset, model = ledger.dataset("clips"), ledger.model("default")
    program = ledger.training()
    for epoch in (1, 2):
        epoch_of(program, epoch, live_place)
    metric = {
        "value": 0.7,
        "low": 0.6,
        "high": 0.8,
        "count": 90,
        "better": "higher",
        "chance": 0.5,
        "published": [],
    }
    evaluation = ledger.evaluation(program, model, dataset, {"matching.voice_to_face.2": metric})
    page = sign_in(visitor, live_place)
    for width, theme in ((360, "light"), (1280, "dark"), (700, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        for path in (
            "/trainings",
            "/trainings/new",
            f"/jobs/{program.job_id}",
            "/evaluations",
            f"/evaluations/{evaluation}",
            "/evaluations/new",
            "/analyses",
            "/analyses/new",
        ):
            page.goto(visitor.address + path)
            expect(page.locator("h1")).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
