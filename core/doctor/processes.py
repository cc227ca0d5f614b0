"""The processes that should be there: a ticker, a worker for every queue with work, all of one version."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.claims.worker_queries import list_queues
from core.code_identity import code_name
from core.doctor.findings import Finding
from core.ledger.tables import Worker
from core.watching.presence import Presence

LONG_SECONDS = 60.0  # a worker enters itself with its first work
_NAMED = 5


def tickers(others: list[Presence]) -> list[Finding]:
    """Whether one has been through a round lately."""
    if any(one.part == "ticker" for one in others):
        return []
    says = "No ticker has been through a round within half a minute: nobody wakes workers, and no schedule fires."
    do = "Start one (python -m core.ticker); if one runs, read its log and see that it uses this broker."
    return [Finding("no_ticker", "ticker", says, do)]


def queues(session: Session) -> list[Finding]:
    """Whether somebody claims from every queue that has work."""
    found = []
    for queue in list_queues(session, shown=0):
        if queue.items and not queue.workers and (queue.oldest_wait_seconds or 0.0) > LONG_SECONDS:
            says = f"{queue.items:,} items wait in the queue {queue.name}, and no worker claims from it."
            do = f"Start a worker with VOICESKETCH_QUEUE={queue.name} and -Q {queue.name}"
            do += ", or let one claim again: voicesketch workers undrain." if queue.draining else "."
            found.append(Finding("queue_without_worker", "workers", says, do))
    return found


def versions(session: Session, others: list[Presence], here: str | None = None) -> list[Finding]:
    """Whether everybody runs the same code as this command, by what they said when they were last heard.

    Args:
        here: the code to compare with; this process's own, unless given.
    """
    here = here or code_name()
    others_code = [(f"the {one.part} on {one.host}", one.code) for one in others]
    for worker in session.scalars(select(Worker).where(Worker.ended_at.is_(None)).order_by(Worker.id)):
        if code := (worker.utilisation or {}).get("code"):
            others_code.append((f"worker {worker.id} on {worker.host}", str(code)))
    strange = [f"{who} runs {code}" for who, code in others_code if code != here]
    if not strange:
        return []
    more = f", and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
    says = f"This is {here}, but {'; '.join(strange[:_NAMED])}{more}."
    do = "Bring all of them to one version and start them anew. During an upgrade this is no fault."
    return [Finding("versions_differ", "workers", says, do, "warning")]


def one_host(session: Session, others: list[Presence]) -> list[Finding]:
    """Of SQLite: whether processes of more than one machine use it."""
    if session.get_bind().dialect.name != "sqlite":
        return []
    hosts = {one.host for one in others}
    hosts |= set(session.scalars(select(Worker.host).where(Worker.ended_at.is_(None))))
    if len(hosts) < 2:
        return []
    says = (
        f"Processes of {len(hosts)} machines or containers use one SQLite file: {', '.join(sorted(hosts))}."
    )
    return [Finding("sqlite_shared", "ledger", says, "Use PostgreSQL for more than one machine.")]
