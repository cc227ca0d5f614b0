"""Past one machine: hosts do a bulk job, and lose each other, restart and are upgraded meanwhile."""

from __future__ import annotations

import pytest

from core.client_views import JobView
from tests.faults.rounds import check
from tests.hosts.conftest import RECORDINGS
from tests.hosts.place import Place

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(900)]


def test_four_workers_on_hosts_of_their_own_share_a_bulk_job(place: Place, sent: JobView) -> None:
    check(place, place.store, sent, RECORDINGS)
