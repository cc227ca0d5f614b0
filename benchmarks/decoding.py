"""What it costs to decode apart: `python -m benchmarks.decoding [--rounds 7]`.

The same recordings are decoded in threads of this process and in processes with limits, in turns, so that other work on
the machine meets both. Prints how many files come through in the same time, and the computing that each takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.hostile.seeds import recordings
from worker.decoding.decoders import Decoders
from worker.inputs import read_input

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
THREADS = 4  # as many as a worker has


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to decode apart.")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    short = recordings()
    sets = {
        "FLAC, 4 s": [path.read_bytes() for path in sorted(SAMPLES.glob("*.flac"))] * 12,
        "FLAC, WAV, Vorbis, 0.7 s": [short[name] for name in ("flac-pcm_16", "wav-pcm_16", "ogg-vorbis")]
        * 100,
        "MP3, 5 s": [(SAMPLES / "station.mp3").read_bytes()] * 40,
    }
    with Decoders(2) as decoders, ThreadPoolExecutor(THREADS) as threads:
        ways: dict[str, Callable[[bytes], object]] = {
            "without": lambda content: read_input("voice", content),
            "with": lambda content: decoders.decode("voice", content),
        }
        for name, files in sets.items():
            for decode in ways.values():
                list(threads.map(decode, files[:10]))  # warm up
            ratios: list[float] = []
            computing: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(options.rounds):
                took: dict[str, float] = {}
                for way in sorted(ways, reverse=turn % 2 == 0):
                    busy, began = _computed(decoders), time.perf_counter()
                    list(threads.map(ways[way], files))
                    took[way] = time.perf_counter() - began
                    computing[way].append(1000 * (_computed(decoders) - busy) / len(files))
                ratios.append(took["without"] / took["with"])
            ms = {way: statistics.median(some) for way, some in computing.items()}
            print(
                f"{name}: {statistics.median(ratios):.2f} times as many files with limits as without "
                f"(from {min(ratios):.2f} to {max(ratios):.2f}); computing a file {ms['with']:.2f} ms, "
                f"without {ms['without']:.2f} ms",
                flush=True,
            )


def _computed(decoders: Decoders) -> float:
    """Seconds of computing so far, of this process and of those that decode."""
    times = [psutil.Process(pid).cpu_times() for pid in (psutil.Process().pid, *decoders.pids)]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    main()
