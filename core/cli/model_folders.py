"""Model folders on their way to the service and back."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from core.client import Client
from core.client_views import ModelFileView, ModelView
from core.errors import InvalidRequest, NotAllowed, StorageUnavailable, TooLarge

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_OF_PAIR = (CONFIG, *(f"{part}/{file}" for part in ("encoder", "decoder") for file in (CONFIG, WEIGHTS)))

Counted = Callable[[int, int], None]  # MiB done, MiB in all


def check_name(name: str) -> None:
    """Raises:
    InvalidRequest: the service would not take a model of that name.
    """
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise InvalidRequest(
            f"{name!r} is no name for a model: take up to 80 letters, digits, dots, hyphens and underscores."
        )


def largest_file(client: Client) -> int:
    """How many bytes a file of a model may have, asked before a large one is on its way.

    Raises:
        NotAllowed: this user may not change which models there are.
    """
    me = client.me()
    if not me.get("may_change_models"):
        raise NotAllowed(f"Only operators and admins bring in models; {me.get('name')} is {me.get('role')}.")
    return int(me["max_model_bytes"])


def send_folder(client: Client, folder: Path, name: str, largest: int, counted: Counted) -> ModelView:
    """Uploads the files of a network, a pair or a whole model and registers them.

    Args:
        largest: see `largest_file`.

    Raises:
        InvalidRequest: the folder holds no model, or one that the service does not take.
        TooLarge: a file has more bytes than that.
    """
    is_pair = (folder / "encoder" / CONFIG).is_file()
    needed = _OF_PAIR if is_pair else (CONFIG, WEIGHTS)
    if missing := [file for file in needed if not (folder / file).is_file()]:
        raise InvalidRequest(f"{folder} holds no model: {', '.join(missing)} is missing.")
    names = [file for file in (*needed, CARD) if (folder / file).is_file()]
    paths = [folder / file for file in names]
    total = sum(path.stat().st_size for path in paths)
    if any(path.stat().st_size > largest for path in paths):
        raise TooLarge(
            f"A file in {folder} has more than the {largest / 2**30:,.1f} GiB that are taken there."
        )
    sent = 0

    def read(size: int) -> None:
        nonlocal sent
        sent += size
        # What is sent twice, after a hiccup, is counted twice.
        counted(_mib(min(sent, total)), _mib(total))

    files = {}
    for file_name, path in zip(names, paths, strict=True):
        with _CountedFile(path, read) as file:
            files[file_name] = client.send_model_file(file)
    return client.register_model(name, files)


def fetch_folder(client: Client, reference: str, out: Path, counted: Counted) -> ModelView:
    """Writes a model version as a folder that `draw --model` takes; it appears whole or not at all.

    Raises:
        InvalidRequest: there is no such model, or the folder is not empty or cannot be written.
        StorageUnavailable: a file came damaged.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidRequest(f"{out} is there already. Choose a folder that is new or empty.")
    model = client.model(reference)
    total = model.size_bytes
    done = 0

    def wrote(size: int) -> None:
        nonlocal done
        done += size
        counted(_mib(done), _mib(total))

    making: Path | None = None
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=".exporting-"))
        for file in model.files:
            _fetch(client, file, making / "model" / _plain_path(file.name), wrote)
        (making / "model").rename(out)
    except OSError as error:
        raise InvalidRequest(f"{out} cannot be written: {(error.strerror or str(error)).lower()}.") from error
    finally:
        if making is not None:
            shutil.rmtree(making, ignore_errors=True)
    return model


def _fetch(client: Client, file: ModelFileView, path: Path, wrote: Callable[[int], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as target:
        for piece in client.stream(file.url):
            digest.update(piece)
            target.write(piece)
            wrote(len(piece))
    if digest.hexdigest() != file.sha256:
        raise StorageUnavailable(f"{file.name} came damaged; nothing was kept. Try again.")


def _mib(size: int) -> int:
    return -(-size // 2**20)  # rounded up, so that small models are not nothing of nothing


def _plain_path(name: str) -> Path:
    # The service names files safely; a service that does not must still not choose where we write.
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or len(path.parts) > 2:
        raise InvalidRequest(f"The service named a file {name!r}, which is no safe file name.")
    return Path(*path.parts)


class _CountedFile(io.FileIO):
    """Tells how much of it was read."""

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path)
        self._told = told

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._told(len(piece or b""))
        return piece or b""
