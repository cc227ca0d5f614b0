"""What comes over the broker is JSON, and a doorbell at most: whoever writes to it can run nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.message import Message
from kombu.serialization import prepare_accept_content

from core.queue import make_celery
from tests.dashboard.conftest import Place


class Bomb:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.proof,)  # type: ignore[return-value]


def test_a_pickled_message_is_not_opened(place: Place, tmp_path: Path) -> None:
    body = pickle.dumps(Bomb(tmp_path / "ran"))
    accepted = prepare_accept_content(make_celery(place.settings).conf.accept_content)
    for kind in ("application/x-python-serialize", "application/x-yaml", "application/x-msgpack"):
        message = Message(body, content_type=kind, content_encoding="binary", accept=accepted)
        with pytest.raises(ContentDisallowed):
            message.decode()
    assert Message('{"a": 1}', content_type="application/json", accept=accepted).decode() == {"a": 1}
    assert not (tmp_path / "ran").exists()
    pickle.loads(body)
    assert (tmp_path / "ran").exists(), "it would have run"
