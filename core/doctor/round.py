"""One look at everything, in the order in which a mistake explains those after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from core.config import Settings
from core.doctor import (
    addresses,
    broker,
    data_folder,
    devices,
    ledger,
    machine,
    processes,
    storage,
    variables,
    weights,
)
from core.doctor.findings import Finding
from core.ledger.database import Database
from core.store import Store
from core.watching.presence import Presence, present


def of_this_machine(data: Path, facts: Mapping[str, Any], environ: Mapping[str, str]) -> list[Finding]:
    """What needs no settings.

    Args:
        facts: as `core.stack.inspection.inspect` answers them.
    """
    wanted = environ.get("VOICESKETCH_DEVICE", "auto")
    return [
        *machine.installed(facts),
        *machine.disks([data]),
        *machine.open_files(),
        *devices.look(facts, gpu=devices.has_gpu(), wanted=wanted),
        *variables.readable_by_others(variables.secret_files(environ)),
        *data_folder.look(data),
    ]


def of_a_place(settings: Settings) -> list[Finding]:
    """What the settings name, asked from here."""
    found = [*addresses.look(settings), *weights.bundled(settings.model_folder.expanduser())]
    found += machine.cache(settings.cache_folder)
    found += machine.disks([settings.cache_folder, *_folder_of_ledger(settings)])
    found += ledger.place_of_file(settings.database_url)
    found += broker.look(settings)
    stored = storage.look(settings)
    found += stored
    others, known = _others(settings)
    database, refused = ledger.opened(settings.database_url)
    found += refused
    if database is not None:
        try:
            found += _of_the_ledger(database, settings, others, known, store_works=not stored)
        finally:
            database.dispose()
    return found


def _of_the_ledger(
    database: Database, settings: Settings, others: list[Presence], known: bool, *, store_works: bool
) -> list[Finding]:
    with database.read() as session:
        found = ledger.tables(session)
        if any(one.severity == "problem" for one in found):
            return found  # whatever else is asked would fail for want of a table or a column
    questions: list[Callable[[Any], list[Finding]]] = [
        ledger.clock,
        lambda session: ledger.server(session, others),
        processes.queues,
        lambda session: processes.versions(session, others),
        lambda session: processes.one_host(session, others),
    ]
    if store_works:
        questions.append(lambda session: weights.production(session, Store(settings)))
    for ask in questions:
        try:
            with database.read() as session:
                found += ask(session)
        except SQLAlchemyError as error:
            says = f"It fails in the middle of a question: {str(error).splitlines()[0][:200]}."
            return [*found, Finding("ledger_unreadable", ledger.PART, says, "Read the log of the database.")]
    if known:
        found += [*processes.tickers(others), *addresses.same_keys(others)]
    return found


def _others(settings: Settings) -> tuple[list[Presence], bool]:
    """Who is there, and whether that is known at all: nobody says so while the broker is away."""
    try:
        return present(settings), True
    except (redis.RedisError, OSError, ValueError):
        return [], False


def _folder_of_ledger(settings: Settings) -> list[Path]:
    try:
        address = make_url(settings.database_url)
    except Exception:  # noqa: BLE001 - told as a finding of its own
        return []
    return (
        [Path(address.database).parent] if address.get_backend_name() == "sqlite" and address.database else []
    )
