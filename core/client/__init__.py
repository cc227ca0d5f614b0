"""The service as a script sees it: a thin, typed client of the API v1.

It knows addresses, retries and errors, and nothing of folders, progress bars or exit codes. What the service
refuses comes back as the very error of `core/errors.py` that was raised over there, found again by its code.

    client = Client("http://127.0.0.1:8000", token)
    for job in client.jobs(limit=10, state="running"):
        for event in client.follow_job(job.id):
            print(event.name, event.data)
"""

from __future__ import annotations

from core.client.accounts import Accounts
from core.client.datasets import Datasets
from core.client.items import Items
from core.client.jobs import Jobs
from core.client.models import Models
from core.client.news import Event, News
from core.client.operating import Operating
from core.client.programs import Programs
from core.client.recordings import Recordings
from core.client.results import Results
from core.client.schedules import Schedules

__all__ = ["Client", "Event"]


class Client(
    Recordings,
    Jobs,
    Items,
    Results,
    Programs,
    Models,
    Datasets,
    Schedules,
    News,
    Accounts,
    Operating,
):
    """One service and one token. Safe to use from several threads.

    Raises (every method):
        ServiceUnreachable: nothing answers there, or something that is no voicesketch.
        NotAllowed: the token is unknown or may not do this.
        VoicesketchError: whatever the service said, by its code.
    """
