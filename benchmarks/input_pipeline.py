"""Whether reading samples holds a training up: `python -m benchmarks.input_pipeline DATASET`.

The same steps of the same network, once with samples read from a prepared dataset by the loader's threads, and once
with batches that lie ready in memory; for each task that the dataset has the features for, with the sizes of its
`-small` preset, where reading weighs most. The two are run in turns, and medians of the rounds are compared. A reader
that is never waited for gives 100 %; 95 % are asked for.

DATASET is a folder that `voicesketch prepare --local --out DATASET` wrote. Frozen networks have random weights.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from benchmarks.bulk import print_table
from core.training.presets import PRESETS
from core.training.specs import TrainSpec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.devices import choose_device
from worker.ml.errors import MediaError
from worker.ml.model_folders import find_model
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.ge2e import GE2E
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig
from worker.ml.training import seeds
from worker.ml.training.loader import Loader, Readers, to_device
from worker.ml.training.task import Batch, Phase, Task, World
from worker.training import build_task

TASKS = ("face_decoder", "ve_conv", "ast", "matching", "gan")
NEEDED = 0.95
ROUNDS = 3
STEPS = 20
WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="a prepared dataset")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2, help="of the loader")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="in a round")
    parser.add_argument("--only", choices=TASKS)
    options = parser.parse_args()
    device = choose_device(options.device)
    print(f"torch threads {torch.get_num_threads()}, loader threads {options.threads}, device {device}")
    rows: list[tuple[str, ...]] = [
        ("task", "batch", "read, samples/s", "in memory, samples/s", "share", "needed")
    ]
    missed = False
    with tempfile.TemporaryDirectory() as scratch, PreparedDataset.open(options.dataset) as dataset:
        models = write_models(Path(scratch), dataset)
        for name in [options.only] if options.only else TASKS:
            try:
                task, phase = build(name, dataset, models, device)
            except MediaError as failure:
                print(f"{name}: left out. {failure.message}")
                continue
            read, ready = compare(task, phase, device, options.threads, options.rounds, options.steps)
            missed |= read / ready < NEEDED
            rows.append(
                (
                    name,
                    str(phase.batch),
                    f"{read:.1f}",
                    f"{ready:.1f}",
                    f"{read / ready:.1%}",
                    f"{NEEDED:.0%}",
                )
            )
            print(f"{name}: {read / ready:.1%}", flush=True)
    print_table(rows)
    sys.exit(missed)


def build(
    name: str, dataset: PreparedDataset, models: Mapping[str, Path], device: torch.device
) -> tuple[Task, Phase]:
    """The small preset of a task, at the beginning of its last phase."""
    preset = PRESETS[f"{name}-small"]
    spec = TrainSpec(model="measured", dataset="measured", recipe=preset.recipe)
    task, phases = build_task(spec, dataset, {**models, "matching-voice": models["ge2e"]}, str(device))
    for network in (*(player.network for player in task.players), *task.frozen):
        network.to(device)
    task.begin(World(device))
    for phase in phases:
        task.begin_phase(phase.name)
    return task, phases[-1]


def compare(
    task: Task, phase: Phase, device: torch.device, threads: int, rounds: int, steps: int
) -> tuple[float, float]:
    """Samples a second, read and lying ready: medians of rounds in turns."""
    optimisers = {
        player.name: torch.optim.Adam(
            [one for one in player.network.parameters() if one.requires_grad], lr=1e-4
        )
        for player in task.players
    }
    with Readers(threads) as readers:
        ready = [
            to_device(batch, device) for batch in itertools.islice(read(task, phase, readers, device), 4)
        ]
        # The first epoch decodes every picture; trainings have many.
        for _ in zip(range(epoch_steps(task, phase)), read(task, phase, readers, device), strict=False):
            pass
        of_reading, of_memory = [], []
        for _ in range(rounds):
            of_reading.append(
                speed(task, optimisers, read(task, phase, readers, device), phase.batch, steps, device)
            )
            of_memory.append(speed(task, optimisers, itertools.cycle(ready), phase.batch, steps, device))
    return statistics.median(of_reading), statistics.median(of_memory)


def epoch_steps(task: Task, phase: Phase) -> int:
    """Whole batches in an epoch."""
    return len(task.sources(phase.name, 0)[0]) // phase.batch


def read(task: Task, phase: Phase, readers: Readers, device: torch.device) -> Iterator[Batch]:
    """Batches of one epoch after the other, as the engine reads them."""
    for epoch in itertools.count():
        source, _ = task.sources(phase.name, epoch)
        order = seeds.Order(0, 0, epoch, len(source))
        batches = [order.stretch(first, phase.batch) for first in range(0, len(source), phase.batch)]
        whole = [batch for batch in batches if len(batch) == phase.batch]
        loader = Loader(
            readers,
            source,
            whole,
            lambda number, epoch=epoch: seeds.of_sample(0, 0, epoch, number),  # type: ignore[misc]
            pin=device.type == "cuda",
        )
        try:
            for batch in loader:
                yield to_device(batch, device)
        finally:
            loader.close()


def speed(
    task: Task,
    optimisers: Mapping[str, torch.optim.Optimizer],
    batches: Iterator[Batch],
    size: int,
    steps: int,
    device: torch.device,
) -> float:
    """Samples a second."""
    began = 0.0
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            _finish(device)
            began = time.perf_counter()
        batch = next(batches)
        for player in task.players:
            optimisers[player.name].zero_grad()
            task.loss(player.name, batch, torch.Generator().manual_seed(step)).total.backward()
            optimisers[player.name].step()
    _finish(device)
    taken = time.perf_counter() - began
    if isinstance(batches, Iterator) and hasattr(batches, "close"):
        batches.close()
    return steps * size / taken


def write_models(scratch: Path, dataset: PreparedDataset) -> dict[str, Path]:
    """The frozen networks, as folders."""
    length = 4096
    if "embedding" in dataset.description["features"]:
        length = int(dataset.description["features"]["embedding"]["shape"][0])
    space = str((dataset.description.get("face_encoder") or {}).get("embedding_space", ""))
    decoder = FaceDecoderConfig(
        length, (256, 128), (64,), texture_side=7, texture_widths=(16, 8, 8), embedding_space=space
    )
    networks = {
        "vgg_face": VGGFace(
            VGGFaceConfig(widths=(8, 8, 16, 16, 16), embedding_length=length, embedding_space=space)
        ),
        "face_decoder": FaceDecoder(decoder),
        "ge2e": GE2E.from_default_model(find_model("default")),
    }
    folders = {}
    for name, network in networks.items():
        folders[name] = scratch / name
        network.eval().save_pretrained(folders[name])
    return folders


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
