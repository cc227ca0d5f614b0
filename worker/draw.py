"""Faces from recordings on this machine, with no servers: `python -m worker.draw PATH... --out DIR`.

The same row of parts as the queue's worker, with the same names, tables and pictures: decoding and encoding run in
threads while the network draws. Torch is loaded while the first recordings are being decoded already, so that the
first face is there within seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.errors import InvalidRequest
from core.incoming.manifest import Line
from core.names import FileNames
from core.progress import Progress, Silent, make_progress
from core.submitting.intake import take_in_paths
from core.submitting.result_folder import (
    CONTACT_SHEET,
    RESERVED,
    RESULTS,
    SHEET_TILES,
    Result,
    csv_lines,
    prepare_folder,
)
from worker.ml.errors import AudioError, MediaError, ModelError, PictureError
from worker.threads import share_cores

if TYPE_CHECKING:
    from core.faces.contact_sheet import Tile
    from worker.inputs import Given
    from worker.ml.drawing_models import DrawingModel, DrawnFace

ALL_DONE, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
BATCH = 16  # recordings drawn together: more is no quicker on a CPU and would keep the first face waiting
AHEAD = 4 * BATCH  # recordings decoded and waiting; bounds memory
HASH_AT_ONCE = 1024 * 1024


@dataclass(frozen=True)
class Task:
    """What is to be drawn with, and from what.

    Attributes:
        folders: of the model, see `worker.ml.drawing_models`.
        kind: what the model takes.
        seed: of the noise, for models that take any.
    """

    folders: tuple[Path, ...]
    kind: Literal["voice", "face"]
    device: str
    seed: int


@dataclass(frozen=True)
class Heard:
    """A recording, or a picture, after decoding: what a model is given, or why there is nothing to give."""

    line: Line
    sha256: str
    given: Given | None
    error: MediaError | None
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A recording after drawing, with what the contact sheet shows of it."""

    result: Result
    spectrogram: bytes | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (docs/command_line.md)."""
    options = _parser().parse_args(arguments)
    share_cores()
    try:
        from worker.ml.drawing_models import find_drawing_model, input_of

        # A wrong name should be told at once, and not after torch has loaded.
        folders = find_drawing_model(options.model)
        kind = input_of(folders)
        lines = take_in_paths([Path(path) for path in options.paths], kind).lines
        prepare_folder(options.out)
        progress = Silent() if options.json else make_progress()
        with progress:
            task = Task(folders, kind, options.device, options.seed)
            outcomes, version = draw_all(lines, options.out, task, progress)
        _finish(outcomes, options.out, version, kind, as_json=options.json)
    except InvalidRequest as error:
        return _refuse(error.message)
    except ModelError as error:
        return _refuse(error.message)
    except OSError as error:
        return _refuse(f"{options.out} cannot be written: {error.strerror or error}.")
    except KeyboardInterrupt:
        return INTERRUPTED
    return SOME_FAILED if any(not outcome.result.face for outcome in outcomes) else ALL_DONE


def draw_all(lines: Sequence[Line], out: Path, task: Task, progress: Progress) -> tuple[list[Outcome], str]:
    """Draw every recording into `out`. Returns the outcomes in the order of `lines`, and the model's version."""
    names = _face_names(lines)
    outcomes: list[Future[Outcome]] = []
    threads = max(2, min(8, os.cpu_count() or 2))
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="decode") as decoders,
        ThreadPoolExecutor(threads, thread_name_prefix="encode") as encoders,
    ):
        try:
            heard = _hear_ahead(lines, decoders, task.kind)
            network = _load(task)
            for batch in _batches(heard):
                for one, face, seconds in _draw_batch(network, batch, task.seed):
                    name = names[len(outcomes)]
                    outcomes.append(encoders.submit(_keep, one, face, seconds, out / name, network.version))
                progress.step("drawing", len(outcomes), len(lines))
            return [outcome.result() for outcome in outcomes], network.version
        except BaseException:
            decoders.shutdown(wait=False, cancel_futures=True)
            encoders.shutdown(wait=False, cancel_futures=True)
            raise


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voicesketch draw", description="Draw a plausible face for each recording."
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="recordings (or pictures), folders of them, or manifests"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the faces go")
    parser.add_argument(
        "--model",
        default="default",
        help="a model that ships with us (NAME[@VERSION]), a folder, or two folders: ENCODER+DECODER",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the noise, for models that take any (default: 0)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON, and nothing else")
    return parser


def _face_names(lines: Sequence[Line]) -> list[str]:
    """File names of the faces, as the queue's downloads give them."""
    names = FileNames()
    for reserved in RESERVED:
        names.take(reserved, ".png")
    return [names.take(line.name, ".png") for line in lines]


def _load(task: Task) -> DrawingModel:
    from worker.ml.drawing_models import load_drawing_model  # torch: over a second

    return load_drawing_model(task.folders, task.device)


def _hear(line: Line, kind: Literal["voice", "face"]) -> Heard:
    """Hash and decode one recording, or picture."""
    from worker.inputs import read_input

    began = time.monotonic()
    digest = hashlib.sha256()
    try:
        with line.path.open("rb") as file:
            while piece := file.read(HASH_AT_ONCE):
                digest.update(piece)
        given = read_input(kind, line.path)
    except (AudioError, PictureError) as error:
        return Heard(line, digest.hexdigest(), None, error, time.monotonic() - began)
    except OSError as failure:
        reason = failure.strerror or str(failure)
        unreadable = AudioError(
            "unreadable_file", f"The file cannot be read ({reason}). Check its path and rights."
        )
        return Heard(line, "", None, unreadable, time.monotonic() - began)
    return Heard(line, digest.hexdigest(), given, None, time.monotonic() - began)


def _hear_ahead(
    lines: Sequence[Line], decoders: ThreadPoolExecutor, kind: Literal["voice", "face"]
) -> Iterator[Heard]:
    """Decode in threads, in order, never more than `AHEAD` recordings ahead of who asks. Begins at once."""
    remaining = iter(lines)
    waiting: deque[Future[Heard]] = deque()

    def fill() -> None:
        while len(waiting) < AHEAD and (line := next(remaining, None)) is not None:
            waiting.append(decoders.submit(_hear, line, kind))

    def results() -> Iterator[Heard]:
        while waiting:
            yield waiting.popleft().result()
            fill()

    fill()
    return results()


def _batches(heard: Iterator[Heard]) -> Iterator[list[Heard]]:
    batch: list[Heard] = []
    for one in heard:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _draw_batch(
    network: DrawingModel, batch: list[Heard], seed: int
) -> Iterator[tuple[Heard, DrawnFace | None, float]]:
    """Each recording with its face or None, and its share of the drawing time."""
    from worker.ml.drawing_models import draw_faces

    began = time.monotonic()
    inputs = [one.given.data for one in batch if one.given is not None]
    faces = iter(draw_faces(network, inputs, seed))
    share = (time.monotonic() - began) / max(1, len(inputs))
    for one in batch:
        yield (one, None, 0.0) if one.given is None else (one, next(faces), share)


def _keep(heard: Heard, face: DrawnFace | None, seconds: float, path: Path, version: str) -> Outcome:
    """Encode and write one face."""
    from worker.ml.pictures import face_metadata, face_png

    key, name = heard.line.key, heard.line.name
    if heard.given is None or face is None:
        error = heard.error or AudioError("not_audio", "The recording could not be decoded.")
        return Outcome(
            Result(name, key, "failed", error.code, error.message, version, heard.seconds, ""), None
        )
    began = time.monotonic()
    png = face_png(face.rgb, face_metadata(version, heard.sha256, heard.given.kind, face.landmarks))
    unfinished = path.with_name(f".{os.getpid()}.part-{path.name}")
    unfinished.write_bytes(png)
    unfinished.replace(path)
    spectrogram = heard.given.shown()
    spent = heard.seconds + seconds + time.monotonic() - began
    return Outcome(Result(name, key, "done", "", "", version, spent, path.name), spectrogram)


def _finish(
    outcomes: list[Outcome], out: Path, version: str, kind: Literal["voice", "face"], *, as_json: bool
) -> None:
    """Write the table and the contact sheet, and say how it went."""
    from core.faces.contact_sheet import contact_sheet_png

    results = [outcome.result for outcome in outcomes]
    (out / RESULTS).write_text("".join(csv_lines(results)), encoding="utf-8", newline="")
    shown = outcomes[:SHEET_TILES]
    word = "recording" if kind == "voice" else "picture"
    count = f"{len(outcomes):,} {word}{'s' if len(outcomes) != 1 else ''}"
    title = count if len(shown) == len(outcomes) else f"the first {len(shown)} of {count}"
    tiles = [_tile(outcome, out) for outcome in shown]
    (out / CONTACT_SHEET).write_bytes(contact_sheet_png(tiles, f"{title}, drawn by {version}"))
    failed = [result for result in results if not result.face]
    if as_json:
        errors = [{"key": one.key, "code": one.error_code, "message": one.error_message} for one in failed]
        summary: dict[str, object] = {
            "state": "completed_with_errors" if failed else "completed",
            "model_version": version,
        }
        summary |= {
            "total": len(results),
            "done": len(results) - len(failed),
            "failed": len(failed),
            "errors": errors,
        }
        summary |= {"out": str(out), "results": str(out / RESULTS), "contact_sheet": str(out / CONTACT_SHEET)}
        print(json.dumps(summary, indent=2))  # noqa: T201
        return
    for result in failed:
        print(f"{result.key}: {result.error_code}: {result.error_message}", file=sys.stderr)  # noqa: T201
    print(f"{len(results) - len(failed)} of {count} drawn: {out}")  # noqa: T201


def _tile(outcome: Outcome, out: Path) -> Tile:
    from core.faces.contact_sheet import Tile

    result = outcome.result
    face = (out / result.face).read_bytes() if result.face else None
    return Tile(result.recording, face, outcome.spectrogram, result.error_code or None)


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return WRONG_USAGE


if __name__ == "__main__":
    sys.exit(main())
