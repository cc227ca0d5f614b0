"""Many real recordings through the whole stack, with everything going wrong that may go wrong on the way."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.states import ItemState, JobState
from core.submitting.downloads import RESULTS
from core.submitting.submission import download, submit_and_wait, wait
from tests.end_to_end.corpus import write_bad, write_good
from tests.end_to_end.house import House, audit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PART = 24


def part(actors: list[Path], number: int) -> list[Path]:
    """Every sixth recording, so that each part has all 24 actors."""
    return actors[number::6]


def manifest_of(recordings: list[Path], path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "path", "ignored"])
        writer.writerows(
            (f"speech/{number:03}", recording, "x") for number, recording in enumerate(recordings)
        )
    return path


def read_results(out: Path) -> list[dict[str, str]]:
    with (out / RESULTS).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_manifest_comes_back_with_its_own_keys_and_a_face_for_each(
    house: House, actors: list[Path], tmp_path: Path
) -> None:
    manifest = manifest_of(part(actors, 0), tmp_path / "voices.csv")
    result = submit_and_wait(house.client, [manifest], tmp_path / "out", progress=False)
    rows = read_results(tmp_path / "out")
    assert (result.total, result.done, result.failed) == (PART, PART, 0)
    assert [row["key"] for row in rows] == [f"speech/{number:03}" for number in range(PART)]
    assert {row["model_version"] for row in rows} == {house.client.job(result.job_id).model}
    assert all(float(row["seconds"]) > 0 for row in rows)
    for row in rows:
        with Image.open(tmp_path / "out" / row["face"]) as face:
            assert face.mode == "RGB"
            assert min(face.size) >= 128
    assert (tmp_path / "out" / "contact_sheet.png").stat().st_size > 10_000


def test_what_was_drawn_before_is_not_drawn_again(house: House, actors: list[Path], tmp_path: Path) -> None:
    first = submit_and_wait(house.client, part(actors, 0), tmp_path / "first", progress=False)
    again = submit_and_wait(house.client, part(actors, 0), tmp_path / "again", progress=False)
    assert first.done == again.done == again.cached == PART
    for face in (tmp_path / "first").glob("0*.png"):
        assert face.read_bytes() == (tmp_path / "again" / face.name).read_bytes()


@pytest.mark.soak  # rounds of tests/faults do this, with more recordings
@pytest.mark.parametrize("kills", [1, 3])
def test_a_worker_that_is_killed_costs_nothing_but_time(house: House, actors: list[Path], kills: int) -> None:
    job = house.submit(part(actors, 1), f"killed {kills} times")
    killed = set()
    for kill in range(kills):
        seen = house.wait_for_faces(job.id, 5 * kill)
        assert not seen.is_final, f"the job was over before kill {kill + 1}"
        killed.add(house.kill_who_draws(job.id))
    ended = wait(house.client, job.id)
    with house.ledger() as database:
        found = audit(database, job.id)
    assert len(killed) == kills
    # A worker claims the next chunk while this one is on the device, so a kill may cost two claims.
    assert kills <= found.attempts["lost"] <= 2 * kills
    assert ended.state is JobState.COMPLETED
    assert found.final == found.with_face == PART
    assert found.each_ended_once
    assert found.each_drawn_once


@pytest.mark.soak  # as above
def test_the_whole_worker_killed_is_started_again_and_goes_on(house: House, actors: list[Path]) -> None:
    job = house.submit(part(actors, 2), "its worker killed as a whole")
    house.wait_for(job.id, lambda job: job.counts[ItemState.LEASED] > 0)
    house.kill_program("worker")
    ended = wait(house.client, job.id)
    with house.ledger() as database:
        found = audit(database, job.id)
    assert ended.state is JobState.COMPLETED
    assert found.each_ended_once
    assert found.each_drawn_once


def test_cancelled_half_way_it_stops_and_retried_it_finishes(house: House, actors: list[Path]) -> None:
    client = house.client
    job = house.submit(part(actors, 3), "cancelled")
    house.wait_for_faces(job.id, 2)
    client.cancel(job.id)
    stopped = wait(client, job.id)
    assert stopped.state is JobState.CANCELLED
    assert 0 < stopped.with_face < PART
    assert stopped.with_face + stopped.counts[ItemState.CANCELLED] == PART
    retried, _ = client.retry(job.id, "cancelled")
    ended = wait(client, job.id)
    assert retried == stopped.counts[ItemState.CANCELLED]
    assert ended.with_face == PART
    with house.ledger() as database:
        assert audit(database, job.id).each_drawn_once


def test_what_is_there_can_be_fetched_while_the_job_runs(
    house: House, actors: list[Path], tmp_path: Path
) -> None:
    client = house.client
    job = house.submit(part(actors, 4), "fetched in the middle")
    house.wait_for_faces(job.id, 2)
    client.pause(job.id)
    held = house.wait_for(job.id, lambda job: not job.counts[ItemState.LEASED])
    assert held.state is JobState.PAUSED
    first = download(client, job.id, tmp_path)
    names = {face.name for face in tmp_path.glob("*.png")}
    assert first.faces == first.fetched == held.with_face < PART
    assert first.unfinished == PART - first.faces
    assert len(read_results(tmp_path)) == PART
    client.resume(job.id)
    wait(client, job.id)
    second = download(client, job.id, tmp_path)
    assert second.faces == PART
    assert second.fetched == PART - first.faces  # none again, and none under another name
    assert names < {face.name for face in tmp_path.glob("*.png")}


def test_only_what_failed_is_tried_again(house: House, tmp_path: Path) -> None:
    good = write_good(tmp_path / "in" / "good", 3)
    bad = write_bad(tmp_path / "in" / "bad")
    result = submit_and_wait(house.client, [tmp_path / "in"], None, progress=False)
    assert (result.done, result.failed) == (len(good), len(bad))
    before = {item.key: item.attempts for item in house.client.items(result.job_id)}
    retried, _ = house.client.retry(result.job_id)
    ended = wait(house.client, result.job_id)
    after = {item.key: item.attempts for item in house.client.items(result.job_id)}
    tried = {key for key in before if after[key] == before[key] + 1}
    # The one that never arrived has nothing to try again.
    assert tried == {f"bad/{one.path.name}" for one in bad if one.code != "unreadable_file"}
    assert retried == len(tried)
    assert all(after[key] == before[key] for key in before if key not in tried)
    assert (ended.with_face, ended.counts[ItemState.FAILED]) == (len(good), len(bad))


@pytest.mark.soak  # as above
def test_a_restart_of_everything_in_mid_job_is_only_a_pause(house: House, actors: list[Path]) -> None:
    job = house.submit(part(actors, 5), "restarted in the middle")
    house.wait_for(job.id, lambda job: job.counts[ItemState.LEASED] > 0)
    house.kill_everything()
    house.start()
    ended = wait(house.client, job.id)
    with house.ledger() as database:
        found = audit(database, job.id)
    assert ended.state is JobState.COMPLETED
    assert found.with_face == PART
    assert found.each_ended_once
    assert found.each_drawn_once


def test_drawing_without_servers_gives_the_faces_that_the_queue_gave(
    house: House, actors: list[Path], tmp_path: Path
) -> None:
    recordings = part(actors, 0)[:6]
    submit_and_wait(house.client, recordings, tmp_path / "queue", progress=False)
    command = [sys.executable, "-m", "core.cli.main", "draw", *recordings, "--out", tmp_path / "draw"]
    subprocess.run([*map(str, command), "--device", "cpu"], check=True, capture_output=True, timeout=120)
    for recording in recordings:
        faces = [
            np.asarray(Image.open(tmp_path / way / f"{recording.stem}.png"), dtype=int)
            for way in ("queue", "draw")
        ]
        assert np.abs(faces[0] - faces[1]).max() <= 2
