"""The registry: model versions, and the aliases that point at them.

The files of models are kept once, under the name of their content, however many versions share them. What files make
a model is said in `core/models/files.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from core.errors import InvalidRequest, NotFound, StorageUnavailable
from core.identifiers import new_id
from core.ledger.database import Database, now
from core.ledger.tables import Alias, ModelVersion
from core.ledger.training_tables import AliasMove
from core.models.files import (
    CARD,
    CONFIG,
    FILE_NAMES,
    LARGEST_CONFIG_BYTES,
    PAIR,
    PARTS,
    ModelFile,
    check_fit,
    check_together,
    files_of_folder,
    holds,
    made_whole,
    needed_files,
    parse_config,
    sha256_of_model,
    write_files,
)
from core.models.files import input_of as input_of
from core.models.files import take_in_model_file as take_in_model_file
from core.objects import model_upload_key
from core.store import Store

PRODUCTION = "production"
# How often files that somebody removes at the same moment are put back.
_TRIES = 5


@dataclass(frozen=True)
class UploadedFile:
    """A file of a model whose content is in the store already."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """Where a model comes from; all of it is empty for models that were brought in.

    Attributes:
        lineage: as `core.models.lineage.describe` writes it.
    """

    job_id: str | None = None
    parent_id: str | None = None
    dataset_version_id: str | None = None
    lineage: Mapping[str, Any] | None = None


def register_model(
    database: Database, store: Store, folder: Path, *, name: str, alias: str | None = None
) -> ModelVersion:
    """Enters a folder that `from_pretrained` reads; the same files are entered once.

    Args:
        alias: also point this alias at it, unless the alias exists.

    Raises:
        InvalidRequest: the folder does not hold a model.
    """
    config, files = files_of_folder(folder)
    return _enter(
        database, store, name=name, config=config, files=files, put=_put_from(store, folder), alias=alias
    )


def register_trained(
    database: Database,
    store: Store,
    folder: Path,
    *,
    name: str,
    job_id: str,
    parent_id: str | None,
    dataset_version_id: str | None,
    lineage: Mapping[str, Any],
) -> ModelVersion:
    """Enters a network or a whole model that a job trained. Its card is written by `core.models.cards.renew_card`.

    Called again, with the same files, it answers the version that it made before.

    Args:
        lineage: as `core.models.lineage.describe` writes it.

    Raises:
        InvalidRequest: the folder does not hold a model, or its files do not belong together.
        StorageUnavailable: try again later.
    """
    config, files = files_of_folder(folder)
    check_together(config, files, lambda file: (folder / file.name).read_bytes())
    return _enter(
        database,
        store,
        name=name,
        config=config,
        files=[file for file in files if file.name != CARD],
        put=_put_from(store, folder),
        origin=Origin(job_id, parent_id, dataset_version_id, lineage),
    )


def register_uploaded_model(
    database: Database, store: Store, *, name: str, files: Sequence[UploadedFile]
) -> ModelVersion:
    """Enters a model whose files were taken in before: a network, a whole model, or a pair with both its halves.

    Raises:
        InvalidRequest: a file that never came, or files that do not make a model.
    """
    if unknown := sorted({file.name for file in files} - set(FILE_NAMES)):
        raise InvalidRequest(
            f"A model has no file {unknown[0]!r}; it is made of {', '.join(FILE_NAMES[:3])}."
        )
    if len({file.name for file in files}) != len(files):
        raise InvalidRequest("A file of the model is named twice.")
    found = []
    for file in files:
        key = model_upload_key(file.sha256)
        try:
            found.append(ModelFile(file.name, file.sha256, store.size(key), key))
        except NotFound as error:
            raise InvalidRequest(f"{file.name} is not here: send its content first.") from error
    by_name = {file.name: file for file in found}
    if CONFIG not in by_name:
        raise InvalidRequest(f"This is no model: {CONFIG} is missing.")

    def read(file: ModelFile) -> bytes:
        if file.size_bytes > LARGEST_CONFIG_BYTES:
            raise InvalidRequest(f"{file.name} is too large to be one.")
        return store.get(file.key)

    config = parse_config(CONFIG, read(by_name[CONFIG]))
    if missing := [file for file in needed_files(config) if file not in by_name]:
        raise InvalidRequest(f"This is no model: {', '.join(missing)} is missing.")
    if config["kind"] != PAIR and (foreign := [file for file in by_name if "/" in file]):
        raise InvalidRequest(f"Only a pair has a file {foreign[0]!r}.")
    check_together(config, found, read)
    return _enter(database, store, name=name, config=config, files=found, put=lambda _: None)


def pair_models(
    database: Database,
    store: Store,
    *,
    encoder: str,
    decoder: str,
    name: str,
    job_id: str | None = None,
    parent_id: str | None = None,
    dataset_version_id: str | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Enters an encoder and a decoder that are here already as a model that draws; no weights are copied.

    Args:
        job_id, parent_id, dataset_version_id, lineage: as of `register_trained`, where a job trained one of them.

    Raises:
        InvalidRequest: one of them is unknown, or they cannot be paired.
    """
    with database.read() as session:
        parts = dict(
            zip(PARTS, (resolve_model(session, encoder), resolve_model(session, decoder)), strict=True)
        )
    first, second = parts.values()
    for part, version in parts.items():
        if version.config.get("part") != part:
            raise InvalidRequest(f"{version.label} is no {part}; it cannot be that half of a pair.")
    check_fit(first.label, first.config, second.label, second.config)
    files = [
        ModelFile(f"{part}/{file['name']}", file["sha256"], file["size_bytes"], file["key"])
        for part, version in parts.items()
        for file in version.files
        if file["name"] != CARD
    ]
    config = {
        "kind": PAIR,
        "name": name,
        "revision": 1,
        "input": first.config["input"],
        "encoder": first.label,
        "decoder": second.label,
    }
    content = (json.dumps(config, indent=2) + "\n").encode()
    sha256 = hashlib.sha256(content).hexdigest()
    files.insert(0, ModelFile(CONFIG, sha256, len(content), model_upload_key(sha256)))

    def put(file: ModelFile) -> None:
        if file.name == CONFIG:
            store.put(file.key, content, "application/json")

    origin = Origin(job_id, parent_id, dataset_version_id, lineage)
    return _enter(database, store, name=name, config=config, files=files, put=put, origin=origin)


def hold_registry(session: Session) -> None:
    """Makes whoever enters or removes models take turns until the transaction ends.

    What is to be removed is then known to be in nobody's hands.
    """
    # On SQLite this is all it takes, as writers take turns. A transaction begins with its first statement, which would
    # be too late: files that were found in the store a moment before could be gone when their version is entered.
    session.connection()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("LOCK TABLE model_versions IN SHARE ROW EXCLUSIVE MODE"))


def _put_from(store: Store, folder: Path) -> Callable[[ModelFile], None]:
    def put(file: ModelFile) -> None:
        with (folder / file.name).open("rb") as content:
            store.put_file(file.key, content, "application/octet-stream")

    return put


def _enter(
    database: Database,
    store: Store,
    *,
    name: str,
    config: dict[str, Any],
    files: Sequence[ModelFile],
    put: Callable[[ModelFile], None],
    alias: str | None = None,
    origin: Origin = Origin(),
) -> ModelVersion:
    """Writes the row of a model, once its files are in the store."""
    whole = sha256_of_model(files)
    # Files of a deleted version are gone, so the same files again are another version.
    same = select(ModelVersion).where(
        ModelVersion.name == name, ModelVersion.sha256 == whole, ModelVersion.deleted_at.is_(None)
    )
    for _ in range(_TRIES):
        with database.read() as session:
            known = session.scalar(same)
            if session.get(Alias, name) is not None:
                raise InvalidRequest(f"{name!r} is an alias, which points at models. Choose another name.")
        kept = {file["name"]: file["key"] for file in known.files} if known is not None else {}
        placed = [
            ModelFile(file.name, file.sha256, file.size_bytes, kept.get(file.name, file.key))
            for file in files
        ]
        # The files may be gone from the store although the row is there: a wiped bucket is filled again.
        for file in placed:
            if not store.exists(file.key):
                put(file)
        with database.write() as session:
            hold_registry(session)
            # Looked at once more: files without a version are removed by whoever tidies the store.
            if all(store.exists(file.key) for file in placed):
                return _enter_row(session, same, name, whole, config, placed, alias, origin)
    raise StorageUnavailable(
        f"The files of {name} vanish from the object store as soon as they are put there."
    )


def _enter_row(
    session: Session,
    same: Any,
    name: str,
    whole: str,
    config: dict[str, Any],
    files: Sequence[ModelFile],
    alias: str | None,
    origin: Origin,
) -> ModelVersion:
    known: ModelVersion | None = session.scalar(same)
    if known is None:
        highest = select(func.max(ModelVersion.version)).where(ModelVersion.name == name)
        known = ModelVersion(
            id=new_id("model"),
            name=name,
            version=(session.scalar(highest) or 0) + 1,
            sha256=whole,
            files=[file.to_row() for file in files],
            config=config,
            created_at=now(session),
            job_id=origin.job_id,
            parent_id=origin.parent_id,
            dataset_version_id=origin.dataset_version_id,
            lineage=dict(origin.lineage) if origin.lineage is not None else None,
        )
        session.add(known)
        session.flush()
    if alias is not None and session.get(Alias, alias) is None:
        at = now(session)
        session.add(Alias(name=alias, model_version_id=known.id, moved_at=at))
        session.add(
            AliasMove(
                alias=alias, new_version_id=known.id, kind="create", actor="bootstrap", reason="", at=at
            )
        )
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
    query = _version_of(name, number).where(ModelVersion.deleted_at.is_(None))
    found = session.scalar(query)
    if found is not None:
        return found
    if number and session.scalar(_version_of(name, number)) is not None:
        raise InvalidRequest(f"{reference} was deleted. Choose another version.")
    there = [*session.scalars(select(Alias.name).order_by(Alias.name))]
    there += [
        model.label
        for model in session.scalars(
            select(ModelVersion).where(ModelVersion.deleted_at.is_(None)).order_by(ModelVersion.created_at)
        )
    ]
    raise InvalidRequest(f"There is no model {reference!r}. There are: {', '.join(there) or 'none yet'}.")


def is_version_number(text: str) -> bool:
    """Whether a text is a number that the column of versions holds."""
    return text.isascii() and text.isdigit() and len(text) < 10


def _version_of(name: str, number: str) -> Select[ModelVersion]:
    query = (
        select(ModelVersion).where(ModelVersion.name == name).order_by(ModelVersion.version.desc()).limit(1)
    )
    if number:
        query = query.where(ModelVersion.version == (int(number) if is_version_number(number) else -1))
    return query


def fetch_model(store: Store, version: ModelVersion, cache: Path) -> Path:
    """A local folder with the files of a version, each checked by its SHA-256; fetched once per machine.

    Raises:
        NotFound: it was deleted.
        StorageUnavailable: a file is not what was registered, or cannot be had.
    """
    if version.deleted_at is not None:
        raise NotFound(f"{version.label} was deleted. Choose another version.")
    folder = cache / version.sha256
    needed = [
        file for file in version.files if file["name"] != CARD
    ]  # a new card is no reason to fetch weights again
    if folder.is_dir() and all(holds(folder / file["name"], file["sha256"]) for file in needed):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with made_whole(folder) as making:
        write_files(store, version, making)
    return folder


def export_model(database: Database, store: Store, reference: str, folder: Path) -> ModelVersion:
    """Writes a version as a folder that `from_pretrained` reads.

    Raises:
        InvalidRequest: there is no such version, or the folder is not empty.
        StorageUnavailable: a file is not what was registered, or cannot be had.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequest(f"{folder} is not an empty folder. Name another one.")
    with database.read() as session:
        version = resolve_model(session, reference)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with made_whole(folder) as making:
        write_files(store, version, making)
    return version
