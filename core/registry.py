"""The registry: model versions, the files they are made of, and the aliases that point at them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.database import Database, now
from core.errors import InvalidRequest, StorageUnavailable
from core.identifiers import new_id
from core.objects import model_file_key
from core.store import Store
from core.tables import Alias, ModelVersion

PRODUCTION = "production"
_FILES = ("config.json", "model.safetensors", "README.md")
_NEEDED = _FILES[:2]


def register_model(
    database: Database, store: Store, folder: Path, *, name: str, alias: str | None
) -> ModelVersion:
    """Enters a folder that `from_pretrained` reads; the same files are entered once.

    Args:
        alias: also point this alias at it, unless the alias exists.

    Raises:
        InvalidRequest: the folder does not hold a model.
    """
    missing = [file for file in _NEEDED if not (folder / file).is_file()]
    if missing:
        raise InvalidRequest(f"{folder} holds no model: {', '.join(missing)} is missing.")
    contents = {file: (folder / file).read_bytes() for file in _FILES if (folder / file).is_file()}
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()}
    whole = hashlib.sha256(
        json.dumps({file: hashes[file] for file in _NEEDED}, sort_keys=True).encode()
    ).hexdigest()
    with database.read() as session:
        known = session.scalar(
            select(ModelVersion).where(ModelVersion.name == name, ModelVersion.sha256 == whole)
        )
    # The files may be gone from the store although the row is there: a wiped bucket is filled again.
    for file, data in contents.items():
        key = model_file_key(whole, file)
        if known is None or not store.exists(key):
            store.put(key, data, "application/octet-stream")
    with database.write() as session:
        known = session.scalar(
            select(ModelVersion).where(ModelVersion.name == name, ModelVersion.sha256 == whole)
        )
        if known is None:
            last = (
                session.scalar(select(func.max(ModelVersion.version)).where(ModelVersion.name == name)) or 0
            )
            known = ModelVersion(
                id=new_id("model"),
                name=name,
                version=last + 1,
                sha256=whole,
                files=[
                    {
                        "name": file,
                        "key": model_file_key(whole, file),
                        "sha256": hashes[file],
                        "size_bytes": len(contents[file]),
                    }
                    for file in contents
                ],
                config=json.loads(contents["config.json"]),
                created_at=now(session),
            )
            session.add(known)
            session.flush()
        if alias is not None and session.get(Alias, alias) is None:
            session.add(Alias(name=alias, model_version_id=known.id, moved_at=now(session)))
    return known


def resolve_model(session: Session, reference: str) -> ModelVersion:
    """The model version that an alias, a name (its newest version) or `name@version` stands for.

    Raises:
        InvalidRequest: there is none, with those that there are.
    """
    alias = session.get(Alias, reference)
    if alias is not None:
        version = session.get(ModelVersion, alias.model_version_id)
        assert version is not None
        return version
    name, _, number = reference.partition("@")
    query = (
        select(ModelVersion).where(ModelVersion.name == name).order_by(ModelVersion.version.desc()).limit(1)
    )
    if number:
        query = query.where(
            ModelVersion.version == (int(number) if number.isascii() and number.isdigit() else -1)
        )
    found = session.scalar(query)
    if found is not None:
        return found
    there = [*session.scalars(select(Alias.name).order_by(Alias.name))]
    there += [
        model.label for model in session.scalars(select(ModelVersion).order_by(ModelVersion.created_at))
    ]
    raise InvalidRequest(f"There is no model {reference!r}. There are: {', '.join(there) or 'none yet'}.")


def fetch_model(store: Store, version: ModelVersion, cache: Path) -> Path:
    """A local folder with the files of a version, each checked by its SHA-256; fetched once per machine.

    Raises:
        StorageUnavailable: a file is not what was registered, or cannot be had.
    """
    folder = cache / version.sha256
    if folder.is_dir() and all(_holds(folder / file["name"], file["sha256"]) for file in version.files):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    # A rename makes the folder appear whole or not at all, whoever else fetches at the same time.
    making = Path(tempfile.mkdtemp(dir=cache, prefix=".fetching-"))
    try:
        for file in version.files:
            (making / file["name"]).write_bytes(store.get(file["key"]))
            if not _holds(making / file["name"], file["sha256"]):
                raise StorageUnavailable(f"{file['name']} of {version.label} is damaged in the object store.")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            making.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
