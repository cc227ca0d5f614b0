"""A training in a house of faults: it goes on from its last checkpoint, and what is drawn beside it is drawn."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

import pytest

from core.states import JOB_FINAL, JobState
from core.submitting.submission import submit, wait
from tests.faults.place import RECORDINGS, Place, open_place
from tests.faults.rounds import PATIENCE_SECONDS, check, plan, play
from tests.faults.training import TrainingInHouse, kills_of, training_in

pytestmark = [pytest.mark.stack, pytest.mark.soak, pytest.mark.timeout(600)]

EPOCHS = 60
# Rounds in which nobody's memory or disk runs out, and the power goes in one of them.
AMONG = (1, 6, 18)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with open_place(tmp_path_factory.mktemp("faults")) as place:
        yield place


@pytest.fixture(scope="module")
def training(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingInHouse]:
    with training_in(place, tmp_path_factory.mktemp("dataset")) as training:
        yield training


def assert_whole(training: TrainingInHouse, job: str) -> None:
    """It ended well, by one attempt after the other, and its model is there."""
    found = training.job(job)
    assert found.state is JobState.COMPLETED, (found.error_code, found.error_message, training.log(job)[-20:])
    assert training.is_resumed(job)
    steps = training.steps(job)
    assert [step.state.value for step in steps] == ["done", "done"]
    names = training.files(job)
    assert "result.json" in names
    assert sum(name.endswith("model.safetensors") for name in names) == 2, sorted(names)
    for name in names:
        assert hashlib.sha256(training.content(job, name)).hexdigest() == names[name].sha256, name


@pytest.mark.parametrize("number", range(3))
def test_a_training_killed_with_its_worker_goes_on_and_recordings_beside_it_are_drawn(
    place: Place, training: TrainingInHouse, number: int
) -> None:
    job = training.start_one(EPOCHS)
    drawn, _ = submit(place.house.client, [], earlier=place.sent.id, seed=30_000 + number)
    reached = 0
    for kill in kills_of(number):
        training.wait_until(lambda reached=reached: training.checkpoints(job) > reached)
        reached = training.checkpoints(job)
        sys.stdout.write(f"after step {reached}: {kill.__name__.replace('_', ' ')}\n")
        kill(place, training, job)
        training.wait_until(lambda reached=reached: _went_on(training, job, reached))
    check(
        place.house,
        place.store,
        wait(place.house.client, drawn.id, patience_seconds=PATIENCE_SECONDS),
        RECORDINGS,
    )
    training.wait_until(lambda: training.job(job).state in JOB_FINAL)
    assert_whole(training, job)


def _went_on(training: TrainingInHouse, job: str, reached: int) -> bool:
    """Whether it was taken up where it had been, and not from its beginning."""
    progress = training.progress(job)
    return progress is not None and (progress.resumed_at_step or 0) >= reached


def test_a_training_goes_on_while_one_round_of_faults_follows_the_other(
    place: Place, training: TrainingInHouse
) -> None:
    job = training.start_one(4 * EPOCHS)
    training.wait_until(lambda: training.checkpoints(job))
    for number in AMONG:
        coming = plan(number)
        sys.stdout.write(f"{coming}\n")
        check(place.house, place.store, play(place.house, place.second, place.sent, coming), RECORDINGS)
    training.wait_until(lambda: training.job(job).state in JOB_FINAL)
    assert_whole(training, job)
