"""A retraining by two hosts, of which one vanishes on the way, is that of one process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping

import psutil
import pytest
import torch

from core.client_views import JobView
from core.states import JobState
from core.submitting.submission import wait
from tests.hosts.place import PATIENCE_SECONDS, Place
from tests.hosts.training import (
    FOLLOWER,
    FOLLOWS,
    LEADER,
    LEADS,
    attempts,
    checkpoints,
    enter_dataset,
    learnt,
    reasons,
    start_follower,
    start_pair,
    train,
)
from tests.hosts.work import until
from worker.train_processes import SILENT_HOST

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def alone(place: Place, sent: JobView) -> Iterator[Mapping[str, torch.Tensor]]:
    """What one process learns; meanwhile and afterwards a pair of hosts is there for more."""
    enter_dataset(place)
    start_pair(place)
    with place.timeline.span("trains alone", LEADER):
        job = ended(place, train(place, hosts=1))
    yield learnt(place, job.id)
    place.stop(LEADS, LEADER)
    place.stop(FOLLOWS, FOLLOWER)


def test_two_hosts_learn_what_one_does_though_one_of_them_dies_on_the_way(
    place: Place, alone: Mapping[str, torch.Tensor]
) -> None:
    with place.timeline.span("trains, followed", LEADER):
        job = train(place, hosts=2)
        until(lambda: checkpoints(place, job) > 0)
        with place.timeline.span("is killed, and comes back", FOLLOWER):
            kill_follower(place)
            start_follower(place)
        followed = ended(place, job)
    check_learnt(place, followed, alone)


def test_two_hosts_learn_what_one_does_though_one_of_them_is_cut_off_on_the_way(
    place: Place, alone: Mapping[str, torch.Tensor]
) -> None:
    with place.timeline.span("trains, followed", LEADER):
        job = train(place, hosts=2)
        until(lambda: checkpoints(place, job) > 0)
        began = time.monotonic()
        with place.away(FOLLOWER, 0):
            until(lambda: attempts(place, job) > 1)
        sys.stdout.write(f"a silent follower was given up after {time.monotonic() - began:.0f} s\n")
        followed = ended(place, job)
    assert SILENT_HOST in reasons(place, job)
    check_learnt(place, followed, alone)


def test_two_hosts_learn_what_one_does_though_the_leading_one_loses_its_lease_on_the_way(
    place: Place, alone: Mapping[str, torch.Tensor]
) -> None:
    with place.timeline.span("trains, followed", LEADER):
        job = train(place, hosts=2)
        until(lambda: checkpoints(place, job) > 0)
        with place.away(LEADER, 0):
            until(lambda: "its lease ran out" in reasons(place, job))
        followed = ended(place, job)
    check_learnt(place, followed, alone)


def check_learnt(place: Place, job: JobView, alone: Mapping[str, torch.Tensor]) -> None:
    assert "Going on from" in str(place.client().log(job.id))
    together = learnt(place, job.id)
    assert together.keys() == alone.keys() != set()
    for name in alone:
        torch.testing.assert_close(together[name], alone[name], rtol=1e-4, atol=1e-5)


def ended(place: Place, job_id: str) -> JobView:
    ended = wait(place.client(), job_id, patience_seconds=PATIENCE_SECONDS)
    assert ended.state is JobState.COMPLETED, (place.log(LEADS, LEADER), place.log(FOLLOWS, FOLLOWER))
    return ended


def kill_follower(place: Place) -> None:
    """`kill -9` for all of it, as a host that loses its power."""
    there = place.running.pop((FOLLOWS, FOLLOWER))
    for process in [there.inner, *there.inner.children(recursive=True)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    there.process.wait()
