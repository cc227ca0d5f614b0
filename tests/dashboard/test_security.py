"""What every request and every answer is held to."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import func, select, text

import dashboard
from core.config import Settings
from core.errors import InvalidSettings
from core.ledger.tables import Base, Job
from core.people import tokens
from core.people.accounts import Role
from dashboard.api import events
from dashboard.app import create_app
from tests.dashboard.conftest import Place, Script
from tests.dashboard.test_access import routes

FOLDER = Path(dashboard.__file__).parent


def test_a_strange_host_name_is_refused_on_every_route(sqlite_place: Place) -> None:
    client = sqlite_place.app.test_client()
    for path in ("/", "/healthz", "/sign-in", "/static/css/base.css", "/api/v1/me", "/nowhere"):
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8000"):
            assert client.get(path, headers={"Host": host}).status_code == 400, (path, host)
        assert client.get(path, headers={"Host": "127.0.0.1:8000"}).status_code != 400


def test_asking_changes_no_row(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tokens, "USE_KEPT_TO", timedelta(days=1)
    )  # when a token was used is kept to the minute
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.0)  # the news of the whole place has no end of its own
    ada, browser = place.script(), place.browser()
    job_id = ada.job(2)
    place.worker().step(size=1)
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    link = place.link()
    ada.post(f"/api/v1/jobs/{job_id}/cancel")  # so that the stream of events ends by itself

    def rows() -> dict[str, list[tuple[object, ...]]]:
        with place.database.read() as session:
            return {
                table.name: sorted(map(repr, session.execute(select(table)).all()))  # type: ignore[misc]
                for table in Base.metadata.sorted_tables
            }

    # Of the parts of a place there is no ticker here.
    asked_as = {"sign_in.confirm": link, "health.readyz": "/readyz?exclude=ticker"}
    before = rows()
    for route in routes(place, job_id, item["id"], item["recording"]):
        if route.method in ("GET", "HEAD"):
            path = asked_as.get(route.endpoint, route.path)
            assert browser.client.open(path, method=route.method).status_code < 500
            assert ada.ask(route.method, path).status_code < 500
    assert rows() == before


def test_a_sign_in_link_works_once_and_survives_a_preview(place: Place) -> None:
    link = place.link()
    previewer = place.app.test_client()
    assert previewer.get(link).status_code == 200
    assert previewer.get("/jobs").status_code == 303
    place.browser()  # signs in by a link of its own
    browser = place.app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(link).text)
    assert token is not None
    assert browser.post(link, data={"csrf_token": token[1]}).status_code == 303
    assert browser.get("/jobs").status_code == 200
    late = place.app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', late.get(link).text)
    assert token is not None
    refused = late.post(link, data={"csrf_token": token[1]})
    assert refused.status_code == 403
    assert "used before" in refused.text


def test_signing_out_ends_the_session(sqlite_place: Place) -> None:
    browser = sqlite_place.browser()
    browser.get("/jobs")
    assert browser.post("/sign-out").status_code == 303
    assert browser.get("/jobs").status_code == 303


def test_a_cookie_alone_changes_nothing(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    job_id = ada.job(1)
    browser.get("/jobs")
    for path in (f"/api/v1/jobs/{job_id}/cancel", f"/jobs/{job_id}/cancel"):
        for headers in (
            {},
            {"X-CSRF-Token": "wrong"},
            {"X-CSRF-Token": browser.csrf, "Sec-Fetch-Site": "cross-site"},
            {"X-CSRF-Token": browser.csrf, "Sec-Fetch-Site": "same-site"},
        ):
            assert browser.client.post(path, headers=headers).status_code in (400, 403)
    # The API looks at the header only: a form of another site can set fields, and no header.
    assert (
        browser.client.post(f"/api/v1/jobs/{job_id}/cancel", data={"csrf_token": browser.csrf}).status_code
        == 400
    )
    assert ada.get(f"/api/v1/jobs/{job_id}").json["state"] == "queued"
    good = browser.client.post(f"/api/v1/jobs/{job_id}/cancel", headers={"X-CSRF-Token": browser.csrf})
    assert good.json["state"] == "cancelled"


def test_a_token_of_nobody_stands_in_for_no_token_of_the_page(sqlite_place: Place) -> None:
    link = sqlite_place.link()
    for given in ("Bearer vs_of-nobody", "Basic YTpi", "Bearer"):
        for path in (link, "/sign-in", "/sign-out"):
            forged = sqlite_place.app.test_client().post(path, headers={"Authorization": given})
            assert forged.status_code == 400, (given, path)
    assert sqlite_place.browser().get("/jobs").status_code == 200


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(sqlite_place: Place) -> None:
    link = sqlite_place.link()
    cookie = sqlite_place.app.test_client().get(link).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # plain HTTP on this machine
    public = sqlite_place.settings.model_copy(update={"public_url": "https://faces.example"})
    assert create_app(public).config["SESSION_COOKIE_SECURE"] is True


def test_every_answer_carries_the_headers(sqlite_place: Place) -> None:
    browser, ada = sqlite_place.browser(), sqlite_place.script()
    job_id = ada.job(1)
    for path in (
        "/jobs",
        f"/jobs/{job_id}",
        "/new",
        "/sign-in",
        "/nowhere",
        "/api/v1/me",
        "/static/css/base.css",
    ):
        headers = browser.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert browser.get("/jobs").headers["Cache-Control"] == "no-store"


def test_nothing_in_the_templates_needs_inline_code_or_another_place() -> None:
    for template in (FOLDER / "templates").rglob("*.html"):
        written = template.read_text("utf-8")
        assert not re.search(r"\sstyle=|\son\w+=|javascript:|<style|<script(?![^>]*\bsrc=)", written), (
            template
        )
        assert "|safe" not in written, template
        assert not re.search(r'(?:src|href)="https?://', written), template
    for file in (*(FOLDER / "static").rglob("*.css"), *(FOLDER / "static" / "js").rglob("*.js")):
        # The name of SVG looks like an address, and nobody is asked there.
        written = file.read_text("utf-8").replace('"http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|@import", written), file


def test_names_from_strangers_are_shown_and_never_run(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    name = "<img src=x onerror=alert(1)>\"'.flac"
    job_id = ada.submit([{"key": name, "name": name, "recording": ada.send()}], name=name).json["id"]
    for path in ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/tiles"):
        page = browser.get(path).text
        assert "<img src=x" not in page
        assert "&lt;img src=x" in page


def test_large_bodies_are_refused_where_none_is_expected(sqlite_place: Place) -> None:
    ada, browser = sqlite_place.script(), sqlite_place.browser()
    job_id = ada.job(1)
    huge = "x" * 2_000_000
    answer = ada.post(f"/api/v1/jobs/{job_id}/retry", json={"which": huge})
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert browser.post(f"/jobs/{job_id}/cancel", more=huge).status_code == 413
    # A job of many lines is larger than that, and is taken.
    many = [{"key": f"{n} {'k' * 200}", "error_code": "missing_file"} for n in range(8000)]
    assert ada.submit(many).status_code == 201


def test_an_error_shows_nothing_of_the_machine(sqlite_place: Place) -> None:
    sqlite_place.app.config["PROPAGATE_EXCEPTIONS"] = False
    ada = sqlite_place.script()
    with sqlite_place.database.write() as session:
        session.execute(text("ALTER TABLE jobs RENAME TO elsewhere"))
    answer = ada.get("/api/v1/jobs")
    assert answer.status_code == 503
    assert "jobs" not in answer.json["detail"]
    with sqlite_place.database.write() as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO jobs"))
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_no_secret_comes_into_a_log_whatever_goes_wrong(
    sqlite_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_place.app.config["PROPAGATE_EXCEPTIONS"] = False
    caplog.set_level("DEBUG")
    log = io.StringIO()
    # Written as `core.watching.logs` writes it, and kept here.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.PrintLoggerFactory(log),
    )
    try:
        ada, browser, link = sqlite_place.script(), sqlite_place.browser(), sqlite_place.link()
        password, wrong_token = "four plain words here", "vs_a-token-of-nobody"
        secrets = [ada.token, link.rsplit("/", 1)[-1], password, wrong_token, browser.csrf]

        def everything() -> set[int]:
            return {
                ada.get("/api/v1/jobs").status_code,
                Script(sqlite_place.app, wrong_token).get("/api/v1/jobs").status_code,
                browser.get(link).status_code,
                browser.post(link).status_code,
                browser.post("/sign-in", name="ada", password=password).status_code,
                browser.post("/account/password", new=password, again=password).status_code,
                ada.post("/api/v1/tokens", json={"name": "more", "scope": "read"}).status_code,
            }

        with sqlite_place.database.write() as session:
            session.execute(text("ALTER TABLE secrets RENAME TO elsewhere"))
            session.execute(text("ALTER TABLE audit_entries RENAME TO no_audit"))
        assert 503 in everything()
        with sqlite_place.database.write() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO secrets"))
        assert everything() & {503, 500}
        sqlite_place.app.view_functions["job_list.show"] = lambda: 1 / 0
        browser.get("/jobs")
        written = log.getvalue() + caplog.text
    finally:
        structlog.reset_defaults()
    assert "the ledger failed" in written and "request crashed" in written
    assert [secret for secret in secrets if secret and secret in written] == []


def test_forms_of_too_many_parts_or_lines_are_refused_and_nothing_is_read_of_strangers(
    sqlite_place: Place,
) -> None:
    browser, stranger = sqlite_place.browser(), sqlite_place.app.test_client()
    many = {f"field {n}": "x" for n in range(200_000)}
    assert browser.post("/sign-in", **many).status_code == 413
    parts = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n1\r\n'.encode() for n in range(5000)
    )
    answer = browser.client.post(
        "/account/tokens", data=parts + b"--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 413
    # Nobody's body is looked at: a stranger learns that they are one, however large it is.
    huge = b"x" * 3_000_000
    assert stranger.post("/api/v1/jobs", data=huge, content_type="application/json").status_code == 401
    assert stranger.put("/api/v1/recordings", data=huge).status_code == 401
    for body in ("{", "[]", "null", '{"items": {}}', "[" * 100_000, '{"items": 1e400}'):
        sent = sqlite_place.script().post("/api/v1/jobs", data=body, content_type="application/json")
        assert (sent.status_code, sent.json["code"]) == (400, "invalid_request"), body[:20]
    olga = sqlite_place.script("olga", Role.OPERATOR)
    deep = olga.ask("PUT", "/api/v1/models/files", data=b"[" * 100_000).json["sha256"]
    files = [{"name": name, "sha256": deep} for name in ("config.json", "model.safetensors")]
    refused = olga.post("/api/v1/models", json={"name": "deep", "files": files})
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_request")


def test_cookies_over_https_are_secure_and_their_text_says_nothing_to_others(sqlite_place: Place) -> None:
    public = sqlite_place.settings.model_copy(
        update={"public_url": "https://faces.example", "trusted_hosts": "faces.example"}
    )
    app = create_app(public)
    link = sqlite_place.link()
    answer = app.test_client().get(link, base_url="https://faces.example")
    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {
            part.strip() for part in cookie.split(";")
        }
        assert "Domain=" not in cookie
    # A cookie that somebody else signed, or that was changed, is no session.
    browser = sqlite_place.browser()
    name, good = next((one.key, one.value) for one in browser.client._cookies.values())
    for value in (
        good[:-2] + ("AA" if not good.endswith("AA") else "BB"),
        "." + good,
        good.split(".")[0],
        "",
    ):
        forged = sqlite_place.app.test_client()
        forged.set_cookie(name, value, domain="localhost")
        assert forged.get("/jobs").status_code == 303
    assert browser.get("/jobs").status_code == 200


def test_a_short_key_for_sessions_is_refused(sqlite_settings: Settings) -> None:
    with pytest.raises(InvalidSettings, match="SECRET_KEY"):
        create_app(
            sqlite_settings.model_copy(update={"secret_key": type(sqlite_settings.secret_key)("short")})
        )
