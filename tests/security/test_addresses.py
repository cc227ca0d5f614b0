"""Addresses of notes that mean a machine within, written in every way that a resolver understands."""

from __future__ import annotations

import socket

import pytest

from core.errors import InvalidRequest
from core.webhook_sending import check_url
from tests.dashboard.conftest import Place

_WITHIN = (
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0/",
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST:8000/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[fe80::1]/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "https://10.0.0.1:443/",
)


@pytest.mark.parametrize("url", _WITHIN)
def test_a_machine_within_is_refused_however_it_is_written(url: str) -> None:
    """By the resolver of this machine, as in earnest; who is not found is not reached either."""
    with pytest.raises(InvalidRequest):
        check_url(url, private=False)


def test_an_address_within_makes_no_job_and_no_request(place: Place) -> None:
    ada = place.script()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        port = listener.getsockname()[1]
        items = [{"key": "a", "error_code": "missing_file"}]
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            answer = ada.submit(items, webhook_url=f"http://{host}:{port}/hook")
            assert (answer.status_code, answer.json["code"]) == (400, "invalid_request"), host
            assert str(port) not in answer.json["detail"] or host in answer.json["detail"]
        with pytest.raises(TimeoutError):
            listener.accept()
    assert ada.get("/api/v1/jobs").json["data"] == []
