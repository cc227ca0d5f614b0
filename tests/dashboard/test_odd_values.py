"""What no column takes, wherever somebody may put it: the asker's slip, told as one, and no trouble of the ledger."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from flask_openapi3.openapi import OpenAPI

from core.people.accounts import Role
from dashboard.api import events
from dashboard.api.openapi import described
from tests.dashboard.conftest import Place, Script

NUL = "a\0b"
HUGE = "99999999999999999999"  # beyond what 64 bits hold
# Each a place where a number is taken out of a text.
NUMBERS = (
    f"/api/v1/models/default@{HUGE}",
    f"/api/v1/models/default@{HUGE}/lineage",
    f"/api/v1/datasets/people@{HUGE}",
    f"/api/v1/jobs?model=default@{HUGE}",
    f"/api/v1/estimate?items=1&model=default@{HUGE}",
    f"/models/default@{HUGE}",
    f"/audit?before={HUGE}",
    f"/audit?before={'9' * 3000}",
    "/jobs/{job}/tiles?ids=" + HUGE,
    f"/jobs/{{job}}/tiles?ids=1,{HUGE}",
    "/jobs/{job}/tiles?after=" + HUGE,
)


def test_numbers_that_are_too_large_are_of_nothing_that_is_there(place: Place) -> None:
    root = place.script("root", Role.ADMIN)
    job = root.job(1)
    for path in NUMBERS:
        assert root.get(path.replace("{job}", job)).status_code in (200, 400, 404), path
    refused = root.submit([{"key": "a", "recording": root.send()}], model=f"default@{HUGE}")
    assert (refused.status_code, refused.json["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite keeps it
def test_a_nul_is_refused_or_left_out_and_never_takes_the_ledger_for_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LONGEST_SECONDS", 0.0)
    root, browser = place.script("root", Role.ADMIN), place.browser("root", Role.ADMIN)
    told = [answer for answer in _api(place, root, root.job(1)) if answer[1] >= 500]
    for rule in place.app.url_map.iter_rules():
        if rule.rule.startswith(("/api/", "/static/")) or "GET" not in (rule.methods or ()):
            continue
        path = re.sub("<[^>]+>", "a%00b", rule.rule)
        names = (
            "before",
            "after",
            "subject",
            "model",
            "user",
            "from",
            "with",
            "q",
            "label",
            "owner",
            "a",
            "b",
        )
        asked = "&".join(f"{name}=a%00b" for name in (*names, "error_code", "zone", "state"))
        told.append((path, browser.get(f"{path}?{asked}").status_code))
    for path in ("/sign-in", "/people", "/account/tokens", "/account/password", "/retention", "/jobs/steer"):
        fields = dict.fromkeys(("name", "password", "user", "confirm", "label", "current"), NUL)
        more = {
            "role": "viewer",
            "scope": "read",
            "job": NUL,
            "action": "label",
            "new": NUL * 9,
            "again": NUL * 9,
        }
        told.append((path, browser.post(path, **fields, **more).status_code))
    assert [one for one in told if one[1] >= 500 and not one[0].startswith("/readyz")] == []
    assert len(told) > 30


def _api(place: Place, script: Script, job: str) -> list[tuple[str, int]]:
    """Every route of the API with a NUL in each text that its path, query or body takes, one after the other."""
    told = []
    description = described(cast(OpenAPI, place.app).api_doc)
    schemas = description["components"]["schemas"]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            given = operation.get("parameters", [])
            asked = {one["name"]: NUL for one in given if one["in"] == "query" and _is_text(one["schema"])}
            filled = path.replace("{job_id}", job) if "{job_id}" in path else path
            where = re.sub(r"{[^}]+}", "a%00b", filled)
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = None
            if content is not None:
                body = {**content["example"], **dict.fromkeys(_texts(content["schema"], schemas), NUL)}
            answer = script.ask(method.upper(), where, query_string=asked, json=body)
            told.append((f"{method} {where} {asked} {body}", answer.status_code))
    return told


def _is_text(schema: dict[str, Any]) -> bool:
    """Whether it takes any text, and not only such of a pattern."""
    kinds = (schema, *schema.get("anyOf", ()))
    return any(
        one.get("type") == "string" and not {"pattern", "enum", "const", "format"} & one.keys()
        for one in kinds
    )


def _texts(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return [name for name, one in schema.get("properties", {}).items() if _is_text(one)]
