"""Requests made up from the description of the API: whatever is sent, the answer is one that is described."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import DataObject, data
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.people.accounts import Role
from tests.conftest import settings_for
from tests.dashboard.conftest import Place, make_place
from tests.ledgers import make_ledger
from tests.servers import ObjectStore

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4
# They send until somebody hangs up; `test_events.py` reads them.
ENDLESS = ("/events",)


@dataclass
class Known:
    """Ids of things that are there, so that not every made-up request ends at 404."""

    place: Place
    token: str
    values: dict[str, Any]


@pytest.fixture
def known(sqlite_database_url: str, object_store: ObjectStore) -> Iterator[Known]:
    make_ledger(sqlite_database_url)
    # Nobody rings here: notes of jobs go into the outbox only.
    place = make_place(settings_for(sqlite_database_url, "redis://127.0.0.1:1", object_store))
    ada = place.script("ada", Role.ADMIN)
    job_id = ada.job(2)
    place.worker(refuse=lambda item: ("no_speech", "Silence.") if "1" in item.name else None).run()
    item = ada.get(f"/api/v1/jobs/{job_id}/items").json["data"][0]
    values = {"job_id": job_id, "item_id": item["id"], "sha256": item["recording"], "label": "default@1"}
    yield Known(place, ada.token, values)
    place.database.dispose()


def test_whatever_is_sent_the_answer_is_one_that_is_described(known: Known) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", known.place.app)
    failures: dict[str, str] = {}
    asked = 0

    def try_out(operation: Any) -> None:
        nonlocal asked

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(data())
        def one(drawn: DataObject) -> None:
            nonlocal asked
            case = drawn.draw(operation.as_strategy())
            for name, value in known.values.items():
                # Every other request is for something that is there.
                if name in (case.path_parameters or {}) and asked % 2:
                    case.path_parameters[name] = value
            asked += 1
            case.call_and_validate(
                checks=CHECKS, headers={**(case.headers or {}), "Authorization": f"Bearer {known.token}"}
            )

        one()

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.endswith(ENDLESS):
            continue
        try:
            try_out(operation)
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - every failure is told at the end
            told = [str(one) for one in getattr(error, "exceptions", [error])]
            failures[operation.label] = " | ".join(" ".join(one.split())[:300] for one in told)
    assert not failures, "\n".join(f"{label}: {what}" for label, what in failures.items())
    assert asked > 100
