"""What a model is made of, as files: which there must be, whether they belong together, and folders of them.

A model is a folder: `config.json`, `model.safetensors` and a card for people; a pair of an encoder and a decoder holds
such a folder for each.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal

from core.errors import InvalidRequest, StorageUnavailable, TooLarge
from core.ledger.tables import ModelVersion
from core.objects import model_upload_key
from core.store import Store

SPEECH_TO_FACE = "speech_to_face"  # the kind of a model that is one whole
PAIR = "pair"  # the kind of a model made of two
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
PARTS = ("encoder", "decoder")
FILE_NAMES = (
    CONFIG,
    WEIGHTS,
    CARD,
    *(f"{part}/{name}" for part in PARTS for name in (CONFIG, WEIGHTS, CARD)),
)
LARGEST_CONFIG_BYTES = 1 << 20
_READ_AT_ONCE = 1 << 22
_FRESH = timedelta(hours=12)


@dataclass(frozen=True)
class ModelFile:
    """A file of a model: its name in the model's folder, and where its content lies in the store."""

    name: str
    sha256: str
    size_bytes: int
    key: str

    def to_row(self) -> dict[str, Any]:
        return {"name": self.name, "key": self.key, "sha256": self.sha256, "size_bytes": self.size_bytes}


def input_of(version: ModelVersion) -> Literal["voice", "face"] | None:
    """What a model draws faces from; None for a network that draws nothing by itself."""
    kind = version.config.get("kind", SPEECH_TO_FACE)
    if kind == SPEECH_TO_FACE:
        return "voice"
    if kind == PAIR:
        return "face" if version.config.get("input") == "face" else "voice"
    return None


def files_of_folder(folder: Path) -> tuple[dict[str, Any], list[ModelFile]]:
    """The configuration and the files of a model's folder.

    Raises:
        InvalidRequest: it does not hold a model.
    """
    there = [name for name in FILE_NAMES if (folder / name).is_file()]
    if CONFIG not in there:
        raise InvalidRequest(f"{folder} holds no model: {CONFIG} is missing.")
    try:
        config = parse_config(CONFIG, (folder / CONFIG).read_bytes())
    except InvalidRequest as error:
        raise InvalidRequest(f"{folder} holds no model: {error.message}") from error
    missing = [name for name in needed_files(config) if name not in there]
    if missing:
        raise InvalidRequest(f"{folder} holds no model: {', '.join(missing)} is missing.")
    files = []
    for name in there:
        sha256 = sha256_of(folder / name)
        files.append(ModelFile(name, sha256, (folder / name).stat().st_size, model_upload_key(sha256)))
    return config, files


def take_in_model_file(store: Store, source: IO[bytes], *, max_bytes: int) -> tuple[str, int]:
    """Keeps one file of a model until it is registered; answers its SHA-256 and size.

    Raises:
        TooLarge: it holds more than `max_bytes`; nothing is kept.
        StorageUnavailable: try again later.
    """
    digest = hashlib.sha256()
    size = 0
    with tempfile.TemporaryFile(prefix="voicesketch-") as spool:
        while piece := source.read(_READ_AT_ONCE):
            size += len(piece)
            if size > max_bytes:
                raise TooLarge(f"This file is larger than {max_bytes / 2**30:,.1f} GiB.")
            digest.update(piece)
            spool.write(piece)
        sha256 = digest.hexdigest()
        # An old file that no version is made of may be tidied away before this one is registered: a new one is not.
        if not _is_fresh(store, model_upload_key(sha256)):
            spool.seek(0)
            store.put_file(model_upload_key(sha256), spool, "application/octet-stream")
    return sha256, size


def needed_files(config: Mapping[str, Any]) -> list[str]:
    """The files without which a model of that configuration cannot be used."""
    if config["kind"] != PAIR:
        return [CONFIG, WEIGHTS]
    return [CONFIG, *(f"{part}/{name}" for part in PARTS for name in (CONFIG, WEIGHTS))]


def parse_config(name: str, content: bytes) -> dict[str, Any]:
    """Raises:
    InvalidRequest: it is no configuration of a model.
    """
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{name} is not valid JSON.") from error
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise InvalidRequest(f"{name} does not describe a model of ours: it names no kind.")
    return config


def check_together(
    config: Mapping[str, Any], files: Iterable[ModelFile], read: Callable[[ModelFile], bytes]
) -> None:
    """Checks that weights are those that their configuration names, and that the halves of a pair fit.

    Raises:
        InvalidRequest: they do not.
    """
    by_name = {file.name: file for file in files}
    if config["kind"] != PAIR:
        _check_weights(config, CONFIG, by_name[WEIGHTS])
        return
    halves = {}
    for part in PARTS:
        name = f"{part}/{CONFIG}"
        halves[part] = parse_config(name, read(by_name[name]))
        if halves[part].get("part") != part:
            raise InvalidRequest(
                f"{name} does not describe an {part}."
                if part == "encoder"
                else f"{name} does not describe a {part}."
            )
        _check_weights(halves[part], name, by_name[f"{part}/{WEIGHTS}"])
    check_fit("encoder", halves["encoder"], "decoder", halves["decoder"])
    if config.get("input") != halves["encoder"].get("input"):
        raise InvalidRequest(
            f"{CONFIG} says that the pair draws from {config.get('input')}, its encoder hears another thing."
        )


def check_fit(
    encoder: str, encoder_config: Mapping[str, Any], decoder: str, decoder_config: Mapping[str, Any]
) -> None:
    """Raises:
    InvalidRequest: what comes out of the encoder is not what goes into the decoder.
    """
    out, into = encoder_config.get("config", {}), decoder_config.get("config", {})
    if out.get("embedding_length") != into.get("embedding_length"):
        raise InvalidRequest(
            f"{encoder} and {decoder} do not fit: embeddings of {out.get('embedding_length')} numbers "
            f"come out of the first, and {into.get('embedding_length')} go into the second."
        )
    spaces = [out.get("embedding_space"), into.get("embedding_space")]
    if all(spaces) and spaces[0] != spaces[1]:
        raise InvalidRequest(
            f"{encoder} and {decoder} do not fit: the first speaks of {spaces[0]}, the second was "
            f"trained on {spaces[1]}."
        )


def sha256_of_model(files: Iterable[ModelFile]) -> str:
    """Names a model by the content of its files."""
    # The card is for people: another wording is not another model.
    hashes = {file.name: file.sha256 for file in files if Path(file.name).name != CARD}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
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


def write_files(store: Store, version: ModelVersion, folder: Path) -> None:
    """Raises:
    StorageUnavailable: a file is not what was registered, or cannot be had.
    """
    for file in version.files:
        path = folder / file["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as content:
            for piece in store.stream(file["key"]):
                content.write(piece)
        if not holds(path, file["sha256"]):
            raise StorageUnavailable(f"{file['name']} of {version.label} is damaged in the object store.")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def holds(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _is_fresh(store: Store, key: str) -> bool:
    limit = datetime.now(UTC) - _FRESH
    return any(found == key and written_at > limit for found, written_at in store.ages(key))


def _check_weights(config: Mapping[str, Any], name: str, weights: ModelFile) -> None:
    if config.get("weights_sha256") != weights.sha256:
        raise InvalidRequest(f"{name} belongs to other weights than the {weights.name} that came with it.")
