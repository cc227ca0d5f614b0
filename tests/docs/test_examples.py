"""The program that the page on the API shows is run as it stands there, on a real service."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from core.config import BUNDLED_WEIGHTS
from tests.conftest import REPOSITORY
from tests.docs.house_of_the_manual import Room

pytestmark = [
    pytest.mark.soak,
    pytest.mark.stack,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="there is no model in weights/ yet"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git lists what a clone has, and is not here"),
]


def test_the_program_of_the_api_page_sends_a_recording_follows_its_job_and_keeps_its_face(room: Room) -> None:
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    known = json.loads((room.house.data / "client.json").read_text())
    filled = program.replace("http://127.0.0.1:8000", known["url"]).replace("vs_…", known["token"])
    assert filled.count(known["url"]) == filled.count(known["token"]) == 1
    (room.folder / "program.py").write_text(filled, "utf-8")
    shutil.copy(room.folder / "voices" / "compass.flac", room.folder / "talk.flac")
    told = room.type("python program.py")
    assert "job" in told.split()
    assert (room.folder / "talk.png").read_bytes().startswith(b"\x89PNG")
