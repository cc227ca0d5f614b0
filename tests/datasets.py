"""Datasets that are in the ledger without having been prepared: their job is one that nobody takes up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.identifiers import new_id
from core.jobs import enter_job
from core.ledger.database import now
from core.ledger.tables import DatasetVersion
from core.specs import PrepareSpec
from core.store import Store

NAME = "people"


def put_files(store: Store, contents: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Files of a dataset, in the store; answers what its row says of them."""
    rows = []
    for name, content in contents.items():
        sha256 = hashlib.sha256(content).hexdigest()
        store.put(f"test/{sha256}", content, "application/octet-stream")
        rows.append({"name": name, "key": f"test/{sha256}", "sha256": sha256, "size_bytes": len(content)})
    return rows


def enter_dataset(
    session: Session,
    owner_id: str,
    *,
    version: int = 1,
    sha256: str = "d" * 64,
    files: Sequence[Mapping[str, Any]] = (),
    summary: Mapping[str, Any] | None = None,
) -> DatasetVersion:
    """A version of `people`.

    Args:
        sha256: of its `dataset.json`.
        files: as `put_files` tells of them.
    """
    at = now(session)
    job = enter_job(
        session,
        spec=PrepareSpec(dataset=NAME, plan_sha256="0" * 64),
        owner_id=owner_id,
        name=NAME,
        queue="nobody's",
        priority=0,
        model_version_id=None,
        idempotency_key=None,
        at=at,
    )
    entered = DatasetVersion(
        id=new_id("dataset"),
        name=NAME,
        version=version,
        sha256=sha256,
        owner_id=owner_id,
        job_id=job.id,
        files=[dict(file) for file in files],
        summary=dict(summary or {}),
        created_at=at,
    )
    session.add(entered)
    return entered
