"""What will go says so in every answer, long before, and the description says the same of the same routes."""

from __future__ import annotations

from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from flask import Flask

from core.config import load_settings
from core.errors import InvalidSettings
from dashboard import deprecation
from dashboard.deprecation import deprecated, deprecation_of
from tests.dashboard.conftest import Place

_READ = "https://example.org/docs/upgrading.html#colours"
_NEEDED = {"VOICESKETCH_DATABASE_URL": "sqlite:///x", "VOICESKETCH_BROKER_URL": "redis://x"}


def test_a_route_that_will_go_says_since_when_until_when_and_where_to_read() -> None:
    app = Flask(__name__)
    deprecation.attach(app)

    @app.get("/colours")
    @deprecated(since=date(2026, 1, 15), until=date(2026, 9, 1), read=_READ)
    def colours() -> tuple[str, int, dict[str, str]]:
        return "", 200, {"Link": '</colours?after=3>; rel="next"'}

    @app.get("/shades")
    def shades() -> str:
        return ""

    headers = app.test_client().get("/colours").headers
    assert headers["Deprecation"] == "@1768435200"
    assert parsedate_to_datetime(headers["Sunset"]).isoformat() == "2026-09-01T00:00:00+00:00"
    assert headers.getlist("Link") == [
        '</colours?after=3>; rel="next"',
        f'<{_READ}>; rel="deprecation"; type="text/html"',
    ]
    others = app.test_client().get("/shades").headers
    assert {"Deprecation", "Sunset", "Link"}.isdisjoint(others.keys())
    assert app.test_client().get("/nowhere").status_code == 404


def test_half_a_year_of_notice_is_the_least() -> None:
    with pytest.raises(ValueError, match="less than 180 days"):
        deprecated(since=date(2026, 1, 15), until=date(2026, 5, 1), read=_READ)


def test_the_description_and_the_headers_name_the_same_routes(sqlite_place: Place) -> None:
    app = sqlite_place.app
    described = sqlite_place.script().get("/api/v1/openapi.json").json["paths"]
    told = {
        operation["operationId"]
        for methods in described.values()
        for operation in methods.values()
        if operation.get("deprecated")
    }
    marked = {name for name, view in app.view_functions.items() if deprecation_of(view) is not None}
    assert len(told) == len(marked), (told, marked)
    assert len(described) > 50


def test_a_former_name_of_a_setting_is_still_read_and_told(caplog: pytest.LogCaptureFixture) -> None:
    former = {"outside_url": "public_url"}
    given = {**_NEEDED, "VOICESKETCH_OUTSIDE_URL": "https://faces.example"}
    settings = load_settings(given, former_names=former)
    assert settings.public_url == "https://faces.example"
    assert "VOICESKETCH_OUTSIDE_URL is now called VOICESKETCH_PUBLIC_URL" in caplog.text
    load_settings({**given, "VOICESKETCH_PUBLIC_URL": "https://faces.example"}, former_names=former)
    with pytest.raises(InvalidSettings, match="and both are set"):
        load_settings({**given, "VOICESKETCH_PUBLIC_URL": "https://other.example"}, former_names=former)


def test_a_former_name_may_name_a_file_as_well(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://faces.example\n")
    given = {**_NEEDED, "VOICESKETCH_OUTSIDE_URL_FILE": str(file)}
    assert (
        load_settings(given, former_names={"outside_url": "public_url"}).public_url == "https://faces.example"
    )
