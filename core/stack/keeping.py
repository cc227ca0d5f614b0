"""The settings of a data folder for as long as a block lasts, whether its stack runs or not: for backups.

Where none runs, the object store alone is started, and the folder is held so that no stack starts beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.config import PREFIX, Settings, load_settings
from core.errors import Conflict, NotFound, StackError
from core.stack import seaweed
from core.stack.child import Child
from core.stack.credentials import load_or_create
from core.stack.folder import DataFolder, is_locked, locked
from core.stack.ports import choose_and_remember
from core.stack.record import end_leftovers
from core.stack.services import services_of, settings_of

# Nothing that is asked of these settings goes to them.
_NOT_ASKED = {"valkey": 0, "dashboard": 0}
_STOP_SECONDS = 3.5  # as long as the stack gives it


def names_a_ledger(environ: Mapping[str, str]) -> bool:
    """Whether the environment names the place, as on several machines; by itself, or by a file with the secret."""
    name = f"{PREFIX}DATABASE_URL"
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


@contextmanager
def settings_of_place(data: Path, environ: Mapping[str, str], *, new: bool = False) -> Iterator[Settings]:
    """The settings that the environment names, else those of a data folder.

    Args:
        new: the folder may be missing, must not be in use, and becomes one of ours.

    Raises:
        NotFound: there is no data folder.
        Conflict: a stack runs where a new place is wanted.
    """
    if names_a_ledger(environ):
        yield load_settings(environ)
        return
    folder = DataFolder(data.absolute())
    if is_locked(folder):
        if new:
            raise Conflict(f"A stack runs on {data}. Choose a new folder with --data.")
        yield _of_running(folder, environ)
        return
    if not new and not folder.ledger.exists():
        raise NotFound(f"There is no ledger in {data}. Name the data folder of a stack with --data.")
    if new and folder.ledger.exists():
        raise Conflict(f"There is a ledger in {data} already. Choose a new folder with --data.")
    with _store_alone(data, environ) as settings:
        yield settings


def _of_running(folder: DataFolder, environ: Mapping[str, str]) -> Settings:
    try:
        ports = {str(name): int(port) for name, port in json.loads(folder.ports.read_text()).items()}
    except (OSError, ValueError) as error:
        raise StackError(f"{folder.ports} cannot be read: {error}. Start the stack again.") from error
    return settings_of(folder, {**_NOT_ASKED, **ports}, load_or_create(folder.credentials), environ)


@contextmanager
def _store_alone(data: Path, environ: Mapping[str, str]) -> Iterator[Settings]:
    with locked(data) as folder:
        end_leftovers(folder)
        chosen = choose_and_remember(
            ["valkey", *seaweed.PORTS, "dashboard"], folder.ports, seaweed.suits, seaweed.BESIDE
        )
        credentials = load_or_create(folder.credentials)
        services = services_of(folder, chosen, credentials, environ)
        child = Child(next(one for one in services.servers if one.name == "seaweedfs"))
        try:
            child.start()
            child.wait_until_ready()
            yield settings_of(folder, chosen, credentials, environ)
        finally:
            child.stop(_STOP_SECONDS)
            seaweed.remove_sockets({name: chosen[name] for name in seaweed.PORTS})
