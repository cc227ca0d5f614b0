"""Drawing measured in one run: `voicesketch bench infer`, or `python -m benchmarks.infer [--quick] [--keep FILE]`.

For each model, on the same recordings and weights, in turns, round after round:

- each station alone, as the worker calls it, the network (the device alone) among them;
- the whole, through the real queue, ledger and object store of a running stack;
- Ray Data, as its users write batch inference;
- the original's way, one file at a time.

Prints every number as it comes, then medians, ratios and peak memory. `--keep FILE` writes numbers down as they come;
called again with the same file it goes on with what is missing. A part that fails or takes too long is told and left
out; the others go on. Exits with 1 where a ratio is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from benchmarks.bulk import CHECKOUT, print_table
from benchmarks.infer_whole import Place, write_copies
from benchmarks.memory import PeakMemory, process_trees
from core.objects import recording_key
from core.submitting.intake import take_in_paths
from tests.end_to_end.house import House

Numbers = dict[str, float]
STATIONS = ("fetch", "decode", "features", "network", "pictures", "store", "commit")
ROUNDS = 3
PART_SECONDS = 1800.0
WARM_UP = 4  # recordings of the job that loads the model


@dataclass(frozen=True)
class Wanted:
    """Of a model: how many recordings, and the ratios to be reached."""

    clips: int
    quick_clips: int
    of_slowest_station: float
    of_original: float | None


MODELS = {
    "default": Wanted(288, 64, 0.80, None),
    "ast": Wanted(32, 8, 0.90, 8.0),
    "ve_conv": Wanted(32, 8, 0.90, 10.0),
}
PARTS = ("stations", "whole", "ray", "original")
OF_RAY = 1.0


class Results:
    """Numbers by model, part and round; kept in a file where one is given."""

    def __init__(self, file: Path | None, what: Mapping[str, object]) -> None:
        self._file = file
        self._known: dict[str, Numbers] = {}
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept["what"] != what:
                raise SystemExit(
                    f"{file} holds numbers of another kind of run ({kept['what']}). Name another file."
                )
            self._known = kept["numbers"]
        self._what = dict(what)

    def get(self, model: str, part: str, number: int) -> Numbers | None:
        return self._known.get(f"{model} {part} {number}")

    def add(self, model: str, part: str, number: int, numbers: Numbers) -> None:
        self._known[f"{model} {part} {number}"] = numbers
        if self._file is not None:
            unfinished = self._file.with_name(self._file.name + ".part")
            unfinished.write_text(json.dumps({"what": self._what, "numbers": self._known}, indent=1))
            unfinished.replace(self._file)

    def median(self, model: str, part: str, name: str) -> float | None:
        found = [
            numbers[name]
            for key, numbers in self._known.items()
            if key.startswith(f"{model} {part} ") and name in numbers
        ]
        return statistics.median(found) if found else None


class PartFailed(Exception):
    """A part of the measurement did not come to an end; the message says why."""


def main() -> None:
    options = _parser().parse_args()
    # Asked to stop, it stops the stack and removes its folders as well.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    counts = {
        name: options.clips or (wanted.quick_clips if options.quick else wanted.clips)
        for name, wanted in MODELS.items()
        if name in options.models
    }
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    parts = [part for part in PARTS if part in options.parts and _is_possible(part, options.ray)]
    files = [line.path for line in take_in_paths([options.folder]).lines]
    results = Results(options.keep, {"clips": counts, "folder": str(options.folder)})
    print(f"{os.cpu_count()} CPU cores, {len(files)} recordings in {options.folder}", flush=True)
    with tempfile.TemporaryDirectory(prefix="voicesketch-infer-") as scratch:
        sounds = Path(scratch) / "recordings"
        sounds.mkdir()
        copies = write_copies(files, max(counts.values()), sounds)
        with House.open(Path(scratch) / "data", os.environ) as house:
            place = Place(house)
            for model, count in counts.items():
                if all(results.get(model, part, n) for part in parts for n in range(rounds)):
                    continue
                measure(place, model, copies[:count], parts, rounds, options.ray, results)
    missed = report(results, list(counts), parts)
    sys.exit(missed)


def measure(
    place: Place,
    model: str,
    recordings: Sequence[Path],
    parts: Sequence[str],
    rounds: int,
    ray: Path | None,
    results: Results,
) -> None:
    """All parts of a model, round after round."""
    began = time.monotonic()
    place.bring_in(model)
    hashes = place.send(recordings)
    version, folder = place.model(model)
    print(f"{model}: ready in {time.monotonic() - began:.0f} s, {len(recordings)} recordings", flush=True)
    with tempfile.TemporaryDirectory(prefix="voicesketch-infer-") as scratch:
        keys = Path(scratch) / "keys.json"
        keys.write_text(json.dumps([recording_key(one) for one in hashes]))
        chosen = Path(scratch) / "recordings"
        chosen.mkdir()
        for file in recordings:
            (chosen / file.name).symlink_to(file)
        warm = [False]

        def whole() -> Numbers:
            if not warm[0]:
                place.draw(model, hashes[:WARM_UP])
                warm[0] = True
            return place.draw(model, hashes)

        ways: dict[str, Callable[[], Numbers]] = {
            "stations": lambda: program(
                [sys.executable, "-m", "benchmarks.infer_stations", version, str(keys)], place.environment
            ),
            "whole": whole,
            "ray": lambda: _ray(ray, place, folder, keys),
            "original": lambda: program(
                [sys.executable, "-m", "benchmarks.infer_original", str(folder), model, str(chosen)],
                place.environment,
            ),
        }
        for number in range(rounds):
            for part in parts:
                if results.get(model, part, number):
                    continue
                try:
                    numbers = ways[part]()
                except PartFailed as failure:
                    print(f"{model}, {part}, round {number + 1}: left out, {failure}", flush=True)
                    continue
                results.add(model, part, number, numbers)
                told = ", ".join(f"{name} {value:.1f}" for name, value in numbers.items())
                print(f"{model}, {part}, round {number + 1}: {told}", flush=True)


def _ray(python: Path | None, place: Place, folder: Path, keys: Path) -> Numbers:
    # Whatever Ray's Python lacks is taken from ours: behind the checkout, since the networks are the same.
    ours = [str(CHECKOUT), *(path for path in sys.path if path.endswith("site-packages"))]
    command = [
        *(str(python or sys.executable), "-m", "benchmarks.infer_ray", str(folder), str(keys)),
        *("--url", str(place.settings.s3_endpoint_url), "--bucket", place.settings.s3_bucket),
    ]
    return program(command, {**place.environment, "PYTHONPATH": os.pathsep.join(ours)})


def program(command: Sequence[str], environment: Mapping[str, str]) -> Numbers:
    """Runs a part in a process of its own; answers the JSON of its last line, flat, with `peak_mib`.

    Raises:
        PartFailed: it did not end well, or not in time. No process of it is left.
    """
    environment = {**environment, "PYTHONPATH": environment.get("PYTHONPATH") or str(CHECKOUT)}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command, stdout=output, stderr=complaints, cwd=CHECKOUT, env=environment, start_new_session=True
        )
        try:
            with PeakMemory([process.pid]) as memory:
                process.wait(PART_SECONDS)
        except subprocess.TimeoutExpired:
            raise PartFailed(f"it did not end within {PART_SECONDS:.0f} s") from None
        finally:
            _kill(process)
        output.seek(0)
        lines = output.read().strip().splitlines()
        if process.returncode or not lines:
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or ["without a word"])[-1]
            raise PartFailed(f"it ended with {process.returncode}: {last}")
    told = json.loads(lines[-1])
    stations = told.pop("stations", {})
    flat = {f"{name} {what}": value for name, of in stations.items() for what, value in of.items()}
    return {**told, **flat, "peak_mib": memory.peak_bytes / 2**20}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The program and all that it started and left behind in its session."""
    left = process_trees([process.pid]) if process.poll() is None else set()
    for pid in left:
        with suppress(psutil.Error):
            psutil.Process(pid).kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def report(results: Results, models: Sequence[str], parts: Sequence[str]) -> bool:
    """Prints medians and ratios; answers whether one is missed."""
    missed = False
    rows: list[tuple[str, ...]] = [("recordings/s", *models)]
    cores: list[tuple[str, ...]] = [("ms of a core for a recording", *models)]
    for name in STATIONS:
        rows.append((name, *(_number(results.median(m, "stations", f"{name} per_second")) for m in models)))
        cores.append((name, *(_number(results.median(m, "stations", f"{name} core_ms")) for m in models)))
    for part in parts:
        if part != "stations":
            rows.append((part, *(_number(results.median(m, part, "per_second")) for m in models)))
    for what in ("worker", "seaweedfs", "valkey", "ticker", "dashboard"):
        cores.append(
            (f"whole: {what}", *(_number(results.median(m, "whole", f"core_ms_{what}")) for m in models))
        )
    ratios: list[tuple[str, ...]] = [("ratio", *models)]
    for name, find, needed in (
        ("whole / slowest station alone", _of_slowest, lambda w: w.of_slowest_station),
        ("whole / what the cores allow", _of_cores, lambda w: None),
        ("whole / original", _of("original"), lambda w: w.of_original),
        ("whole / Ray Data", _of("ray"), lambda w: OF_RAY),
    ):
        cells = []
        for model in models:
            ratio, least = find(results, model), needed(MODELS[model])
            short = ratio is not None and least is not None and ratio < least
            missed |= short
            cells.append(
                _number(ratio) + (f" ({'missed' if short else 'needed'}: {least:g})" if least else "")
            )
        ratios.append((name, *cells))
    memory: list[tuple[str, ...]] = [("peak memory, MiB", *models)]
    for part in parts:
        if part != "stations":
            memory.append((part, *(_number(results.median(m, part, "peak_mib")) for m in models)))
    for table in (rows, cores, ratios, memory):
        print()
        print_table(table)
    return missed


def _of_slowest(results: Results, model: str) -> float | None:
    alone = [results.median(model, "stations", f"{name} per_second") for name in STATIONS]
    whole = results.median(model, "whole", "per_second")
    if whole is None or any(one is None for one in alone):
        return None
    return whole / min(one for one in alone if one is not None)


def _of_cores(results: Results, model: str) -> float | None:
    """Against all processor time that a face takes, of all programs, spread over all cores without a gap."""
    whole = results.median(model, "whole", "per_second")
    spent = [
        results.median(model, "whole", f"core_ms_{name}")
        for name in ("worker", "seaweedfs", "valkey", "ticker", "dashboard")
    ]
    if whole is None or any(one is None for one in spent):
        return None
    return whole * sum(one for one in spent if one is not None) / 1000 / (os.cpu_count() or 1)


def _of(part: str) -> Callable[[Results, str], float | None]:
    def ratio(results: Results, model: str) -> float | None:
        ours, theirs = results.median(model, "whole", "per_second"), results.median(model, part, "per_second")
        return None if ours is None or theirs is None else ours / theirs

    return ratio


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _is_possible(part: str, ray: Path | None) -> bool:
    if part == "ray" and ray is None and find_spec("ray") is None:
        print(
            "Ray Data is left out: install benchmarks/requirements.txt, or name a Python that has it with --ray."
        )
        return False
    lacking = (
        [name for name in ("librosa", "matplotlib") if find_spec(name) is None] if part == "original" else []
    )
    if lacking:
        print(
            f"The original's way is left out: {' and '.join(lacking)} is missing; see benchmarks/requirements.txt."
        )
    return not lacking


def _parser() -> argparse.ArgumentParser:
    beside = CHECKOUT.parent / "shared" / "data" / "ravdess_mini"
    folder = beside if beside.is_dir() else CHECKOUT / "samples"
    parser = argparse.ArgumentParser(
        prog="voicesketch bench infer", description=(__doc__ or "").partition("\n")[0].partition(":")[0] + "."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=folder, help="recordings to draw")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--clips", type=int, help="recordings of a round")
    parser.add_argument("--quick", action="store_true", help="one round over few recordings")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write numbers down, and go on from there")
    parser.add_argument("--ray", type=Path, metavar="PYTHON", help="a Python that has Ray")
    return parser


if __name__ == "__main__":
    main()
