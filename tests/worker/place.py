"""A prepared place for the worker's tests: ledger, object store, the default model, one user."""

from __future__ import annotations

import io

from core.bootstrap import BUNDLED_MODEL
from core.config import Settings
from core.incoming.recordings import take_in
from core.jobs import create_job
from core.ledger.database import Database
from core.models.registry import PRODUCTION, register_model
from core.people.accounts import ensure_admin
from core.specs import InferSpec, NewItem
from core.store import Store
from tests.factories import Ledger
from tests.ledgers import make_ledger


class Place:
    """A prepared place with one user, who submits what tests give."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        make_ledger(settings.database_url)
        self.database = Database(settings.database_url)
        self.store = Store(settings)
        # The rest of `core.bootstrap.prepare`, which would look for migrations once more.
        self.store.ensure_bucket()
        with self.database.write() as session:
            ensure_admin(session)
        register_model(self.database, self.store, settings.model_folder, name=BUNDLED_MODEL, alias=PRODUCTION)
        self.ledger = Ledger(self.database)

    def submit(self, recordings: dict[str, bytes], spec: InferSpec | None = None) -> str:
        """A queued job over files with these names and contents; answers its id."""
        owner = self.ledger.user().id
        items = [
            NewItem(
                key=name,
                name=name,
                recording=take_in(
                    self.database, self.store, io.BytesIO(data), owner_id=owner, max_bytes=2**30
                ).sha256,
            )
            for name, data in recordings.items()
        ]
        with self.database.write() as session:
            return create_job(session, owner_id=owner, spec=spec or InferSpec(), items=items).id

    def work(self) -> None:
        """What a worker does when its doorbell rings, to the end."""
        from worker.runner import Runner

        runner = Runner(self.settings)
        try:
            runner.run_until_idle()
        finally:
            runner.close()
