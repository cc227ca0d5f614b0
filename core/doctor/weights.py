"""The weights: those that come with the program, and those that the production model names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.doctor.findings import Finding
from core.errors import NotFound, Retryable
from core.ledger.tables import Alias, ModelVersion
from core.models.files import CONFIG, WEIGHTS
from core.models.registry import PRODUCTION
from core.store import Store

PART = "weights"
_READ_AT_ONCE = 1 << 20


def bundled(folder: Path) -> list[Finding]:
    """Whether the model that is registered at the first start is whole."""
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        says = f"{folder} has no {' and no '.join(missing)}."
        do = "Fetch the program anew with its weights, or set VOICESKETCH_MODEL_FOLDER to a model's folder."
        return [Finding("weights_missing", PART, says, do)]
    try:
        noted = json.loads((folder / CONFIG).read_text("utf-8")).get("weights_sha256")
    except (OSError, ValueError, AttributeError) as error:
        return [
            Finding("weights_changed", PART, f"{folder / CONFIG} cannot be read: {error}.", "Fetch it anew.")
        ]
    with (folder / WEIGHTS).open("rb") as file:
        found = _sha256(iter(lambda: file.read(_READ_AT_ONCE), b""))
    if noted is not None and noted != found:
        says = (
            f"{folder / WEIGHTS} is not the file that {CONFIG} names ({found[:12]}…, not {str(noted)[:12]}…)."
        )
        return [
            Finding(
                "weights_changed",
                PART,
                says,
                "Fetch it anew; perhaps a copy was cut short, or Git LFS skipped.",
            )
        ]
    return []


def production(session: Session, store: Store) -> list[Finding]:
    """Whether the files of the production model are in the store, unchanged. Reads all of them."""
    version = session.scalar(
        select(ModelVersion)
        .join(Alias, Alias.model_version_id == ModelVersion.id)
        .where(Alias.name == PRODUCTION)
    )
    if version is None:
        says = "No model is in production: jobs that name none are refused."
        return [
            Finding(
                "no_production_model",
                PART,
                says,
                "Run python -m core.bootstrap, or: voicesketch models promote.",
            )
        ]
    found = []
    for file in version.files:
        try:
            pieces = store.stream(file["key"])
            same = _sha256(pieces) == file["sha256"]
        except NotFound:
            says = f"{file['name']} of {version.label} is no longer in the store."
            do = "Import the model again, or promote another; restore a backup if objects vanished."
            found.append(Finding("weights_missing", PART, says, do))
        except Retryable:
            return found  # the store has findings of its own then
        else:
            if not same:
                says = f"{file['name']} of {version.label} has changed in the store: its checksum is another."
                do = "Trust no face of it. Import the model again, and find out who writes to the bucket."
                found.append(Finding("weights_changed", PART, says, do))
    return found


def _sha256(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
