"""A retraining by two hosts, of which one vanishes on the way, is that of one process."""

from __future__ import annotations

import psutil
import pytest
import torch

from core.client_views import JobView
from core.states import JobState
from core.submission import wait
from tests.hosts.place import PATIENCE_SECONDS, Place
from tests.hosts.training import (
    FOLLOWER,
    FOLLOWS,
    LEADER,
    LEADS,
    checkpoints,
    enter_dataset,
    learnt,
    start_follower,
    start_pair,
    train,
)
from tests.hosts.work import until

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1200)]


def test_two_hosts_learn_what_one_does_though_one_of_them_dies_on_the_way(
    place: Place, sent: JobView
) -> None:
    enter_dataset(place)
    start_pair(place)
    with place.timeline.span("trains alone", LEADER):
        alone = ended(place, train(place, hosts=1))
    with place.timeline.span("trains, followed", LEADER):
        job = train(place, hosts=2)
        until(lambda: checkpoints(place, job) > 0)
        with place.timeline.span("is killed, and comes back", FOLLOWER):
            kill_follower(place)
            start_follower(place)
        followed = ended(place, job)
    one, two = learnt(place, alone.id), learnt(place, followed.id)
    assert one.keys() == two.keys() != set()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)
    assert "Going on from" in str(place.client().log(job))
    place.stop(LEADS, LEADER)
    place.stop(FOLLOWS, FOLLOWER)


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
