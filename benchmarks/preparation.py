"""Preparing recordings, against the plain recipe of Speech-to-face: `python -m benchmarks.preparation [FOLDER]`.

The plain recipe starts two FFmpeg processes for each file, then loads, transforms and saves with librosa or with the
AST extractor of transformers. It is measured one file after another and in twelve threads, as its authors' option
has it, and the faster of the two counts. (Theirs starts three: measuring, converting and scaling are separate. Here
the level is measured while converting, which favours it.) Both sides are timed warm, in one process, side by side,
from files to features on disk; ours also hashes inputs and shards. Needs `ffmpeg` and `benchmarks/requirements.txt`.

The folder holds a folder for each person. It defaults to the 144 recordings of ravdess_mini beside the checkout.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.bulk import print_table
from core.datasets.layouts import plan_folder
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe
from core.progress import Silent
from worker.dataset_folder import InputFolder, prepare_folder
from worker.preparation import Preparer

CHECKOUT = Path(__file__).resolve().parent.parent
RATE = 16_000
SECONDS = {"ve_conv": 6.0, "ast": 10.26}
NEEDED = {"ve_conv": 20, "ast": 10}
PLAIN_THREADS = 12
ROUNDS = 3
GROWTH = 10

Extract = Callable[[Path], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=CHECKOUT.parent / "shared/data/ravdess_mini")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("ratio", "growth"))
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"Skipped: there is no folder {options.folder}. Name one with a folder for each person.")
        return
    print(f"torch threads {torch.get_num_threads()}, device {options.device}", flush=True)
    missed = False
    lacking = [name for name in ("librosa",) if find_spec(name) is None]
    lacking += [name for name in ("ffmpeg",) if shutil.which(name) is None]
    if lacking and options.only != "growth":
        print(
            f"The comparison is skipped: {' and '.join(lacking)} is missing; see benchmarks/requirements.txt."
        )
    elif options.only != "growth":
        missed = compare(options.folder, options.device, options.rounds)
    if options.only != "ratio":
        grow(options.folder, options.device)
    sys.exit(missed)


def compare(folder: Path, device: str, rounds: int) -> bool:
    """Both sides, round by round; answers whether one of the ratios is missed."""
    rows: list[tuple[str, ...]] = [
        (
            "features",
            "plain s",
            "how",
            "ours s",
            "ratio",
            "needed",
            "plain files/s",
            "ours files/s",
            "with report s",
        )
    ]
    missed = False
    for feature, extract in (("ve_conv", librosa_extractor()), ("ast", ast_extractor())):
        plan = plan_folder(folder, recipe(feature))
        files = [folder / entry.key for entry in plan.entries]
        run_plain(files[:2], feature, extract, 1)
        run_ours(plan, folder, device)
        alone = run_plain(files, feature, extract, 1)
        plain, ours, whole = [], [], []
        for _ in range(rounds):
            plain.append(run_plain(files, feature, extract, PLAIN_THREADS))
            ours.append(run_ours(plan, folder, device))
            whole.append(run_whole(plan, folder, device))
        threaded = statistics.median(plain)
        theirs, how = min((alone, "one by one"), (threaded, f"{PLAIN_THREADS} threads"))
        mine = statistics.median(ours)
        missed |= theirs / mine < NEEDED[feature]
        rows.append(
            (
                feature,
                f"{theirs:.2f}",
                how,
                f"{mine:.2f}",
                f"{theirs / mine:.1f}x",
                f"{NEEDED[feature]}x",
                f"{len(files) / theirs:.1f}",
                f"{len(files) / mine:.1f}",
                f"{statistics.median(whole):.2f}",
            )
        )
        print(
            f"{feature}: one by one {alone:.1f} s, {PLAIN_THREADS} threads {_list(plain)} s, ours {_list(ours)} s",
            flush=True,
        )
    print_table(rows)
    return missed


def grow(folder: Path, device: str) -> None:
    """The cost of a file as there are more of them, the same recordings under other names."""
    rows: list[tuple[str, ...]] = [("files", "s", "files/s", "ms a file", "ms of a core")]
    with tempfile.TemporaryDirectory() as scratch:
        many = Path(scratch) / "many"
        for copy in range(GROWTH):
            for person in sorted(path for path in folder.iterdir() if path.is_dir()):
                place = many / f"{person.name}_{copy}"
                place.mkdir(parents=True)
                for file in person.iterdir():
                    (place / file.name).symlink_to(file.resolve())
        one = Path(scratch) / "one"
        one.mkdir()
        for person in many.glob("*_0"):
            (one / person.name).symlink_to(person)
        for source in (one, many) * ROUNDS:
            plan = plan_folder(source, recipe("ve_conv"))
            before = time.process_time()
            took = run_ours(plan, source, device)
            count, cores = len(plan.entries), time.process_time() - before
            each = (f"{1000 * seconds / count:.2f}" for seconds in (took, cores))
            rows.append((f"{count:,}", f"{took:.2f}", f"{count / took:.1f}", *each))
    print_table(rows)


def recipe(feature: str) -> Recipe:
    return Recipe.model_validate({"face": None, "voice": {"features": [feature]}})


def run_ours(plan: Plan, folder: Path, device: str) -> float:
    """Seconds from files to shards."""
    with tempfile.TemporaryDirectory() as out:
        preparer = Preparer(plan.recipe, device=device)
        began = time.perf_counter()
        made = [preparer.prepare(shard, InputFolder(folder).fetch, Path(out)) for shard in plan.shards()]
        took = time.perf_counter() - began
    assert sum(shard.kept for shard in made) == len(plan.entries)
    return took


def run_whole(plan: Plan, folder: Path, device: str) -> float:
    """Seconds from files to a dataset version with its index and report."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        prepare_folder(plan, folder, Path(out) / "dataset", Silent(), device=device)
        return time.perf_counter() - began


def run_plain(files: Sequence[Path], feature: str, extract: Extract, threads: int) -> float:
    """Seconds from files to arrays, the plain way."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        # One thread of torch in each of twelve is several times quicker than twelve times all cores.
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(lambda file: plain_file(file, feature, extract, Path(out)), files))
        took = time.perf_counter() - began
        assert len(list(Path(out).rglob("*.npy"))) == len(files)
    torch.set_num_threads(torch.get_num_threads())  # the initializer's number also holds for threads to come
    return took


def plain_file(file: Path, feature: str, extract: Extract, out: Path) -> None:
    """Two processes, then one array."""
    place = out / file.parent.name
    place.mkdir(exist_ok=True)
    levelled = level(file, place)
    np.save(place / f"{file.stem}.npy", extract(levelled))
    levelled.unlink()


def level(file: Path, place: Path) -> Path:
    """One process converts, one brings it to the loudness; answers the file in `place`."""
    converted, levelled = (place / f"{file.stem}{ending}.wav" for ending in ("", "_normalized"))
    quiet = ("ffmpeg", "-hide_banner", "-nostdin", "-y", "-i")
    told = subprocess.run(
        [*quiet, file, "-ar", str(RATE), "-ac", "1", "-af", "volumedetect", "-c:a", "pcm_s16le", converted],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    found = re.search(r"mean_volume: (-?[\d.]+) dB", told)
    assert found is not None
    gain = -23.0 - float(found.group(1))
    subprocess.run(
        [*quiet, converted, "-af", f"volume={gain}dB", "-c:a", "pcm_s16le", levelled],
        check=True,
        capture_output=True,
    )
    converted.unlink()
    return levelled


def librosa_extractor() -> Extract:
    """The input of VE_conv."""
    import librosa

    def extract(path: Path) -> np.ndarray:
        waveform = filled(librosa.load(path, sr=RATE)[0], "ve_conv")
        spectrum = librosa.stft(waveform, n_fft=512, hop_length=160, win_length=400)
        phase = np.angle(spectrum)
        channels = [np.abs(spectrum) ** 0.3, np.sign(phase) * np.abs(phase) ** 0.3]
        return np.stack(channels).astype(np.float32)

    return extract


def ast_extractor() -> Extract:
    """The input of the AST."""
    import librosa
    from transformers import ASTFeatureExtractor

    extractor = ASTFeatureExtractor(mean=-5.460994, std=3.1129124)

    def extract(path: Path) -> np.ndarray:
        waveform = filled(librosa.load(path, sr=RATE)[0], "ast")
        return np.asarray(extractor(waveform, sampling_rate=RATE, return_tensors="np")["input_values"])

    return extract


def filled(waveform: np.ndarray, feature: str) -> np.ndarray:
    """The clip's own start appended until it is long enough."""
    wanted = round(SECONDS[feature] * RATE)
    start = waveform
    while len(waveform) < wanted:
        waveform = np.concatenate([waveform, start])
    return waveform[:wanted]


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
