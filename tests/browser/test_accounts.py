"""The way of a new person from the admin's page to a script of their own, and in by a sign-in service."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr

from core.people.accounts import Role
from core.stack import ports
from tests.browser.conftest import Visitor, serving
from tests.conftest import settings_for
from tests.dashboard.conftest import Place, make_place
from tests.dashboard.sign_in_service import CLIENT, SECRET, SignInService
from tests.dashboard.sign_in_service import serving as serving_service
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

pytestmark = pytest.mark.browser

WORDS = "four plain words here"


def test_an_admin_adds_somebody_who_sets_a_password_makes_a_token_and_is_shut_out(
    visitor: Visitor, live_place: Place, chromium: Browser
) -> None:
    admin = _by_link(visitor, live_place.link("root", Role.ADMIN))
    admin.goto(f"{visitor.address}/people")
    admin.get_by_label("Name", exact=True).fill("dora")
    admin.get_by_role("button", name="Add").click()
    link = admin.get_by_label("Sign-in link").inner_text()
    assert link.startswith(f"{visitor.address}/sign-in/")

    doras = Visitor(
        chromium.new_context(color_scheme="dark", viewport={"width": 390, "height": 800}), visitor.address
    )
    doras.context.set_default_timeout(30_000)
    dora = _by_link(doras, link)
    _set_password(dora, WORDS)
    dora.get_by_role("button", name="Sign out", exact=True).click()
    _sign_in(dora, "dora", "not her words at all")
    expect(dora.get_by_role("alert")).to_contain_text("do not fit")
    _sign_in(dora, "dora", WORDS)
    expect(dora.get_by_role("heading", name="No faces yet")).to_be_visible()

    dora.goto(f"{visitor.address}/account")
    dora.get_by_label("What it is for").fill("nightly")
    dora.get_by_label("It may at most").select_option("read")
    dora.get_by_label("It ends").select_option("after 30 days")
    dora.get_by_role("button", name="New token").click()
    token = dora.get_by_label("New token").inner_text()
    assert _ask(visitor.address, token) == (200, "dora")
    assert _ask(visitor.address, token, "POST", "/api/v1/tokens") == (403, "not_allowed")
    dora.goto(f"{visitor.address}/account")
    expect(dora.get_by_text(token)).to_have_count(0)
    assert _no_wider_than_its_window(dora)

    # From now on dora operates, which her open page does not need to know; then nothing of hers works any more.
    admin.get_by_label("Role of dora", exact=True).select_option("operator")
    admin.get_by_role("button", name="Change the role of dora").click()
    dora.goto(f"{visitor.address}/workers")
    expect(dora.get_by_role("heading", name="Workers", exact=True)).to_be_visible()
    admin.get_by_role("button", name="Disable: dora").click()
    expect(admin.get_by_role("button", name="Enable: dora")).to_be_visible()
    dora.goto(f"{visitor.address}/workers")
    expect(dora.get_by_role("heading", name="Sign in")).to_be_visible()
    assert _ask(visitor.address, token) == (401, "not_allowed")

    admin.goto(f"{visitor.address}/audit")
    told = admin.get_by_role("row")
    for action in ("user.create", "user.password", "token.new", "user.role", "user.disable"):
        expect(told.filter(has_text=action)).to_have_count(1)
    doras.context.close()
    refused = [one for one in doras.complaints if "403" not in one]
    assert refused == []


@pytest.fixture
def place_with_service(
    sqlite_database_url: str, object_store: ObjectStore, tmp_path: Path
) -> Iterator[tuple[Place, SignInService]]:
    """A served place beside a sign-in service, which is another site for the browser: localhost is not 127.0.0.1."""
    port = ports.choose(["dashboard"])["dashboard"]
    address = f"http://127.0.0.1:{port}"
    with serving_service(SignInService(f"{address}/sign-in/provider/back")) as service:
        service.issuer = service.issuer.replace("127.0.0.1", "localhost")
        settings = settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store).model_copy(
            update={
                "public_url": address,
                "oidc_issuer": service.issuer,
                "oidc_client_id": CLIENT,
                "oidc_client_secret": SecretStr(SECRET),
                "oidc_roles": "staff=submitter",
                "oidc_new_role": "nobody",
                "oidc_title": "Example Login",
            }
        )
        make_ledger(settings.database_url)
        place = make_place(settings)
        with serving(settings):
            yield place, service
        place.database.dispose()


def test_a_browser_comes_in_by_a_sign_in_service_of_another_site(
    place_with_service: tuple[Place, SignInService], chromium: Browser
) -> None:
    place, service = place_with_service
    visitor = Visitor(chromium.new_context(), place.settings.public_url)
    visitor.context.set_default_timeout(30_000)
    page = visitor.open("/sign-in")
    page.get_by_role("link", name="Sign in by Example Login").click()
    expect(page.get_by_role("alert")).to_contain_text("have no role here")
    service.person["groups"] = ["staff"]
    page.get_by_role("link", name="Sign in by Example Login").click()
    expect(page.get_by_role("heading", name="No faces yet")).to_be_visible()
    page.goto(f"{visitor.address}/account")
    expect(page.get_by_text("ada, submitter")).to_be_visible()
    visitor.context.close()
    assert [one for one in visitor.complaints if service.issuer not in one and "403" not in one] == []


def _by_link(visitor: Visitor, link: str) -> Page:
    page = visitor.open(link)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="No faces yet")).to_be_visible()
    return page


def _set_password(page: Page, words: str) -> None:
    page.get_by_role("link", name="Your account").or_(page.locator("a.who-name")).first.click()
    page.get_by_label("New password").fill(words)
    page.get_by_label("The same again").fill(words)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("status").filter(has_text="password is changed")).to_be_visible()


def _sign_in(page: Page, name: str, words: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(words)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def _ask(address: str, token: str, method: str = "GET", path: str = "/api/v1/me") -> tuple[int, str]:
    """Status, and whose token it is or why it was refused."""
    asked = urllib.request.Request(
        address + path,
        method=method,
        data=b'{"name": "more"}' if method == "POST" else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, json.load(answer)["name"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)["code"]


def _no_wider_than_its_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
