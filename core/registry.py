"""The registry: model versions, the files they are made of, and the aliases that point at them.

A model is a folder: `config.json`, `model.safetensors` and a card for people; a pair of an encoder and a decoder holds
such a folder for each. Files are kept once, under the name of their content, however many versions share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.database import Database, now
from core.errors import InvalidRequest, NotFound, StorageUnavailable, TooLarge
from core.identifiers import new_id
from core.objects import model_upload_key
from core.store import Store
from core.tables import Alias, ModelVersion

PRODUCTION = "production"
SPEECH_TO_FACE = "speech_to_face"  # the kind of a model that is one whole
PAIR = "pair"  # the kind of a model made of two
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_PARTS = ("encoder", "decoder")
_HASH_AT_ONCE = 1 << 22
_LARGEST_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class UploadedFile:
    """A file of a model whose content is in the store already."""

    name: str
    sha256: str


@dataclass(frozen=True)
class _File:
    name: str
    sha256: str
    size_bytes: int
    key: str


def register_model(
    database: Database, store: Store, folder: Path, *, name: str, alias: str | None = None
) -> ModelVersion:
    """Enters a folder that `from_pretrained` reads; the same files are entered once.

    Args:
        alias: also point this alias at it, unless the alias exists.

    Raises:
        InvalidRequest: the folder does not hold a model.
    """
    names = [
        CONFIG,
        WEIGHTS,
        CARD,
        *(f"{part}/{file}" for part in _PARTS for file in (CONFIG, WEIGHTS, CARD)),
    ]
    there = [file for file in names if (folder / file).is_file()]
    if CONFIG not in there:
        raise InvalidRequest(f"{folder} holds no model: {CONFIG} is missing.")
    files = []
    for file in there:
        sha256 = _sha256_of(folder / file)
        files.append(_File(file, sha256, (folder / file).stat().st_size, model_upload_key(sha256)))
    try:
        config = _parse_config(CONFIG, (folder / CONFIG).read_bytes())
    except InvalidRequest as error:
        raise InvalidRequest(f"{folder} holds no model: {error.message}") from error
    missing = [file for file in _needed(config) if file not in there]
    if missing:
        raise InvalidRequest(f"{folder} holds no model: {', '.join(missing)} is missing.")

    def put(file: _File) -> None:
        with (folder / file.name).open("rb") as content:
            store.put_file(file.key, content, "application/octet-stream")

    return _enter(database, store, name=name, config=config, files=files, put=put, alias=alias)


def take_in_model_file(store: Store, source: IO[bytes], *, max_bytes: int) -> tuple[str, int]:
    """Keeps one file of a model until it is registered; answers its SHA-256 and size.

    Raises:
        TooLarge: it holds more than `max_bytes`; nothing is kept.
        StorageUnavailable: try again later.
    """
    digest = hashlib.sha256()
    size = 0
    with tempfile.TemporaryFile(prefix="voicesketch-") as spool:
        while piece := source.read(_HASH_AT_ONCE):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge(f"This file is larger than {max_bytes / 2**30:,.1f} GiB.")
            digest.update(piece)
            spool.write(piece)
        sha256 = digest.hexdigest()
        if not store.exists(model_upload_key(sha256)):
            spool.seek(0)
            store.put_file(model_upload_key(sha256), spool, "application/octet-stream")
    return sha256, size


def register_uploaded_model(
    database: Database, store: Store, *, name: str, files: Sequence[UploadedFile]
) -> ModelVersion:
    """Enters a model whose files were taken in before.

    Raises:
        InvalidRequest: a file that never came, or files that do not make a model.
    """
    allowed = {CONFIG, WEIGHTS, CARD}
    if unknown := sorted({file.name for file in files} - allowed):
        raise InvalidRequest(
            f"A model has no file {unknown[0]!r}; it is made of {', '.join(sorted(allowed))}."
        )
    if len({file.name for file in files}) != len(files):
        raise InvalidRequest("A file of the model is named twice.")
    found = []
    for file in files:
        key = model_upload_key(file.sha256)
        try:
            found.append(_File(file.name, file.sha256, store.size(key), key))
        except NotFound as error:
            raise InvalidRequest(f"{file.name} is not here: send its content first.") from error
    by_name = {file.name: file for file in found}
    missing = [file for file in (CONFIG, WEIGHTS) if file not in by_name]
    if missing:
        raise InvalidRequest(f"This is no model: {', '.join(missing)} is missing.")
    if by_name[CONFIG].size_bytes > _LARGEST_CONFIG_BYTES:
        raise InvalidRequest(f"{CONFIG} is too large to be one.")
    config = _parse_config(CONFIG, store.get(by_name[CONFIG].key))
    if config["kind"] == PAIR:
        raise InvalidRequest("Register the two networks, then pair them.")
    if config.get("weights_sha256") != by_name[WEIGHTS].sha256:
        raise InvalidRequest(f"{CONFIG} belongs to other weights than the {WEIGHTS} that came with it.")
    return _enter(database, store, name=name, config=config, files=found, put=lambda _: None)


def pair_models(database: Database, store: Store, *, encoder: str, decoder: str, name: str) -> ModelVersion:
    """Enters an encoder and a decoder that are here already as a model that draws; no weights are copied.

    Raises:
        InvalidRequest: one of them is unknown, or they cannot be paired.
    """
    with database.read() as session:
        parts = dict(
            zip(_PARTS, (resolve_model(session, encoder), resolve_model(session, decoder)), strict=True)
        )
    first, second = parts.values()
    for part, version in parts.items():
        if version.config.get("part") != part:
            raise InvalidRequest(f"{version.label} is no {part}; it cannot be that half of a pair.")
    _check_fit(first, second)
    files = [
        _File(f"{part}/{file['name']}", file["sha256"], file["size_bytes"], file["key"])
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
    files.insert(0, _File(CONFIG, sha256, len(content), model_upload_key(sha256)))

    def put(file: _File) -> None:
        if file.name == CONFIG:
            store.put(file.key, content, "application/json")

    return _enter(database, store, name=name, config=config, files=files, put=put)


def _check_fit(encoder: ModelVersion, decoder: ModelVersion) -> None:
    out, into = encoder.config.get("config", {}), decoder.config.get("config", {})
    if out.get("embedding_length") != into.get("embedding_length"):
        raise InvalidRequest(
            f"{encoder.label} and {decoder.label} do not fit: embeddings of {out.get('embedding_length')} numbers "
            f"come out of the first, and {into.get('embedding_length')} go into the second."
        )
    spaces = [out.get("embedding_space"), into.get("embedding_space")]
    if all(spaces) and spaces[0] != spaces[1]:
        raise InvalidRequest(
            f"{encoder.label} and {decoder.label} do not fit: the first speaks of {spaces[0]}, the second was "
            f"trained on {spaces[1]}."
        )


def _enter(
    database: Database,
    store: Store,
    *,
    name: str,
    config: dict[str, Any],
    files: Sequence[_File],
    put: Callable[[_File], None],
    alias: str | None = None,
) -> ModelVersion:
    """Writes the row of a model, once its files are in the store."""
    # The card is for people: another wording is not another model.
    hashes = {file.name: file.sha256 for file in files if Path(file.name).name != CARD}
    whole = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    same = select(ModelVersion).where(ModelVersion.name == name, ModelVersion.sha256 == whole)
    with database.read() as session:
        known = session.scalar(same)
        if session.get(Alias, name) is not None:
            raise InvalidRequest(f"{name!r} is an alias, which points at models. Choose another name.")
    kept = {file["name"]: file["key"] for file in known.files} if known is not None else {}
    # The files may be gone from the store although the row is there: a wiped bucket is filled again.
    for file in files:
        placed = _File(file.name, file.sha256, file.size_bytes, kept.get(file.name, file.key))
        if not store.exists(placed.key):
            put(placed)
    with database.write() as session:
        known = session.scalar(same)
        if known is None:
            highest = select(func.max(ModelVersion.version)).where(ModelVersion.name == name)
            known = ModelVersion(
                id=new_id("model"),
                name=name,
                version=(session.scalar(highest) or 0) + 1,
                sha256=whole,
                files=[
                    {"name": file.name, "key": file.key, "sha256": file.sha256, "size_bytes": file.size_bytes}
                    for file in files
                ],
                config=config,
                created_at=now(session),
            )
            session.add(known)
            session.flush()
        if alias is not None and session.get(Alias, alias) is None:
            session.add(Alias(name=alias, model_version_id=known.id, moved_at=now(session)))
    return known


def input_of(version: ModelVersion) -> Literal["voice", "face"] | None:
    """What a model draws faces from; None for a network that draws nothing by itself."""
    kind = version.config.get("kind", SPEECH_TO_FACE)
    if kind == SPEECH_TO_FACE:
        return "voice"
    if kind == PAIR:
        return "face" if version.config.get("input") == "face" else "voice"
    return None


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
    with _made_whole(folder) as making:
        _write_files(store, version, making)
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
    with _made_whole(folder) as making:
        _write_files(store, version, making)
    return version


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, renamed at the end: it appears whole or not at all, whoever else makes the same."""
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".fetching-"))
    making.chmod(0o755)
    try:
        yield making
        shutil.rmtree(folder, ignore_errors=True)
        try:
            making.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _write_files(store: Store, version: ModelVersion, folder: Path) -> None:
    for file in version.files:
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as content:
            for piece in store.stream(file["key"]):
                content.write(piece)
        if not _holds(path, file["sha256"]):
            raise StorageUnavailable(f"{file['name']} of {version.label} is damaged in the object store.")


def _needed(config: dict[str, Any]) -> list[str]:
    if config["kind"] != PAIR:
        return [WEIGHTS]
    return [f"{part}/{file}" for part in _PARTS for file in (CONFIG, WEIGHTS)]


def _parse_config(name: str, content: bytes) -> dict[str, Any]:
    try:
        config = json.loads(content)
    except ValueError as error:
        raise InvalidRequest(f"{name} is not valid JSON.") from error
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise InvalidRequest(f"{name} does not describe a model of ours: it names no kind.")
    return config


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256_of(path) == sha256
