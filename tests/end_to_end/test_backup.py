"""A stack that draws is backed up by one command, and goes on elsewhere after another one."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from core.ledger.tables import Artifact
from core.stack.keeping import settings_of_place
from core.states import JobState
from core.store import Store
from tests.end_to_end.house import House, audit

pytestmark = pytest.mark.stack


def voicesketch(*words: str) -> dict[str, object]:
    ran = subprocess.run(
        [sys.executable, "-m", "core.cli.main", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, object] = json.loads(ran.stdout)
    return told


@pytest.mark.soak
def test_a_stack_that_draws_goes_on_elsewhere(actors: list[Path], tmp_path: Path) -> None:
    environ = {**os.environ, "VOICESKETCH_CHUNK_ITEMS": "4", "VOICESKETCH_DEVICE": "cpu"}
    saved = tmp_path / "saved.tar"
    with House.open(tmp_path / "first", environ) as house:
        job_id = house.submit(actors[:60], "backed up").id
        house.wait_for_faces(job_id, 8)
        made = voicesketch("backup", "--data", str(house.data), "--out", str(saved))
        assert made["lost"] == []
    told = voicesketch("restore", str(saved), "--data", str(tmp_path / "second"))
    assert (told["objects"], told["restored"]) == (made["objects"], True)
    with House.open(tmp_path / "second", environ) as house:
        before = house.client.job(job_id)
        assert before.total == 60
        job = house.wait_for(job_id, lambda job: job.is_final)
        assert (job.state, job.with_face) == (JobState.COMPLETED, 60)
        with house.ledger() as database:
            found = audit(database, job_id)
            with database.read() as session:
                faces = session.scalars(select(Artifact)).all()
        assert (found.final, found.each_ended_once, found.each_drawn_once) == (60, True, True)
        with settings_of_place(house.data, environ) as settings:
            store = Store(settings)
            for face in faces:
                assert hashlib.sha256(store.get(face.object_key)).hexdigest() == face.sha256
        assert len(faces) == 180
