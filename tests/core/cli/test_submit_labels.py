"""`--label` of `voicesketch submit`."""

from __future__ import annotations

import pytest

from core.cli.submit import _labels
from core.client import Client
from core.errors import InvalidRequest
from tests.core.client.small_service import in_json, job_answer, small_service


def test_labels_keep_what_follows_the_first_equals_sign_and_reach_the_service() -> None:
    with small_service(lambda _: in_json(job_answer(), 201)) as service:
        Client(service.url, "vs_x").create_job([], idempotency_key="k", labels=_labels(["a=b=c", "d="]))
    assert service.asked[-1].json()["labels"] == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("given", ["project", "=radio"])
def test_a_label_without_a_name_or_value_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest, match="NAME=VALUE"):
        _labels([given])
