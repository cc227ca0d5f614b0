"""What `submit` was given, whatever it is: folders, files, manifests, archives, addresses in S3; and how the recordings
in it come to the service.

Archives and what lies in S3 are taken apart over there, so that only the service decides what is in them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.client import Client, answers
from core.errors import InvalidRequest
from core.incoming.manifest import Line
from core.progress import Progress
from core.specs import NewItem
from core.submitting.intake import Intake, Keys, is_side_name, take_in_paths
from core.submitting.sending import ONE_PIECE_BYTES, send_all, send_parts

Wanted = Literal["voice", "face"]


@dataclass(frozen=True)
class Given:
    """What was given, by what it is."""

    paths: tuple[Path, ...] = ()
    archives: tuple[Path, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass
class Batch:
    """The lines of a job, and how many files were seen and not taken."""

    items: list[NewItem] = field(default_factory=list)
    left_out: int = 0


@dataclass
class Count:
    """What a job would be made of.

    Attributes:
        more: there is more in S3 than was counted.
    """

    recordings: int = 0
    size_bytes: int = 0
    left_out: int = 0
    more: bool = False


def sort_given(given: Sequence[str | Path]) -> Given:
    """Tells archives and addresses from paths. An archive in a folder is left aside, as anything packed is there."""
    addresses = tuple(str(one) for one in given if str(one).startswith("s3://"))
    paths = [Path(one) for one in given if not str(one).startswith("s3://")]
    archives = tuple(path for path in paths if path.suffix.lower() == ".zip" and path.is_file())
    return Given(tuple(path for path in paths if path not in archives), archives, addresses)


def count_given(client: Client, given: Given, wanted: Wanted) -> Count:
    """Looks at everything and sends nothing.

    Raises:
        InvalidRequest: as `send_given`.
    """
    counted = Count()
    intake = _take_in(given, wanted)
    counted.recordings, counted.left_out = len(intake.lines), intake.left_out
    counted.size_bytes = sum(_size(line) for line in intake.lines)
    for path in given.archives:
        entries, recordings = _entries(path), _recordings_in(path, wanted)
        counted.recordings += len(recordings)
        counted.left_out += len(entries) - len(recordings)
        counted.size_bytes += sum(entry.file_size for entry in recordings)
    for address in given.addresses:
        found = client.look_in_s3(address, wanted=wanted)
        counted.recordings += found["recordings"]
        counted.size_bytes += found["size_bytes"]
        counted.left_out += found["left_out"]
        counted.more |= found["more"]
    return counted


def send_given(
    client: Client, given: Given, wanted: Wanted, progress: Progress, before: Callable[[int], None]
) -> Batch:
    """Sends what the service does not have: files first, then archives, then what lies in S3.

    Args:
        before: told how many recordings there are on this disk, before the first of them is sent; what it raises
            keeps all of them here.

    Raises:
        InvalidRequest: there is nothing to draw from, or something cannot be read or is not allowed.
        ServiceUnreachable: nothing was submitted.
    """
    batch = Batch()
    keys = Keys()
    intake = _take_in(given, wanted)
    total = len(intake.lines)
    before(total + sum(len(_recordings_in(path, wanted)) for path in given.archives))
    if total:
        items = send_all(client, intake.lines, lambda done: progress.step("sending", done, total))
        _add(batch, keys, items, intake.left_out)
    for path in given.archives:
        unpacked = _send_archive(client, path, progress)
        _add(batch, keys, [NewItem.model_validate(item) for item in unpacked["items"]], unpacked["left_out"])
    for address in given.addresses:
        _take_from_s3(client, address, wanted, batch, keys, progress)
    if not batch.items:
        raise InvalidRequest(f"There is nothing to draw from in {', '.join(given.addresses)}.")
    return batch


def _take_in(given: Given, wanted: Wanted) -> Intake:
    if not given.paths and (given.archives or given.addresses):
        return Intake()
    return take_in_paths(given.paths, wanted)


def _add(batch: Batch, keys: Keys, items: Sequence[NewItem], left_out: int) -> None:
    batch.items += [item.model_copy(update={"key": keys.take(item.key)}) for item in items]
    batch.left_out += left_out


def _send_archive(client: Client, path: Path, progress: Progress) -> answers.UnpackedView:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if size <= ONE_PIECE_BYTES:
                return client.send_archive(file)
            mark = f"{path.resolve().name}|{size}|{path.stat().st_mtime_ns}"[-200:]
            upload = send_parts(
                client,
                file,
                name=path.name,
                size_bytes=size,
                fingerprint=mark,
                archive=True,
                counted=lambda done, parts: progress.step("sending", done, parts),
            )
    except OSError as error:
        raise InvalidRequest(
            f"{str(path)!r} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error
    unpacked = client.unpack_upload(upload)
    client.abandon_upload(upload)
    return unpacked


def _take_from_s3(
    client: Client, address: str, wanted: Wanted, batch: Batch, keys: Keys, progress: Progress
) -> None:
    total = client.look_in_s3(address, wanted=wanted)["recordings"]
    done = 0
    after: str | None = None
    while True:
        taken = client.take_from_s3(address, after=after, wanted=wanted)
        items = [NewItem.model_validate(item) for item in taken["items"]]
        _add(batch, keys, items, taken["left_out"])
        done += len(items)
        progress.step("sending", done, max(done, total))
        after = taken["next"]
        if after is None:
            return


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise InvalidRequest(f"{str(path)!r} is no ZIP archive, or it is damaged.") from error
    except OSError as error:
        raise InvalidRequest(
            f"{str(path)!r} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error


def _recordings_in(path: Path, wanted: Wanted) -> list[zipfile.ZipInfo]:
    return [one for one in _entries(path) if not is_side_name(one.filename.rsplit("/", 1)[-1], wanted)]


def _size(line: Line) -> int:
    try:
        return line.path.stat().st_size
    except OSError:  # told as an item of its own once it is sent
        return 0
