"""A program that counts, jobs that run it, and workers that the tests wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.training.specs import EvaluateSpec, TrainSpec
from tests.worker.program_place import ProgramPlace
from worker.runner import Runner

REPOSITORY = Path(__file__).resolve().parents[3]
SAMPLES = REPOSITORY / "samples"

# Counts to ten, a step every 50 ms, with a checkpoint at each; goes on where its last checkpoint is.
COUNTS = """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
kept = sorted((run / "checkpoints").glob("*.safetensors"))
step = int(kept[-1].stem) if kept else 0
begun = step or None
(run / "pid").write_text(str(os.getpid()))
while step < 10:
    step += 1
    time.sleep(0.05)
    tell("metrics", step=step, epoch=step / 5, values={"train/total": 1 / step, "odd": float("nan")})
    leave(f"checkpoints/{step:08d}.safetensors", b"weights %d" % step, "checkpoint", step)
    if step > 2:
        (run / f"checkpoints/{step - 2:08d}.safetensors").unlink()
        tell("file", kind="checkpoint", name=f"checkpoints/{step - 2:08d}.safetensors", gone=True)
    tell("progress", step=step, steps=10, epoch=1, epochs=2, resumed_at_step=begun, doing="counting")
    if asked:
        sys.exit(75)
    PAUSE
leave("model/voice/config.json", b"{}", "model")
end(model={}, steps=step)
"""


def a_training(place: ProgramPlace, dataset: str = "people@1", **machine: object) -> str:
    """Of a kind whose spec names no other model; what is trained is for the program to say."""
    values = {"model": "mine", "dataset": dataset, "recipe": {"task": "default"}, "machine": machine}
    return place.start(TrainSpec.model_validate({**values, "after": {"evaluate": False, "gate": None}}))


def an_evaluation(place: ProgramPlace) -> str:
    return place.start(EvaluateSpec(model="default", dataset="people@1"))


def counts(place: ProgramPlace, pause: str = "pass") -> None:
    place.write_program("train", COUNTS.replace("PAUSE", pause))


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


class Worker:
    """A runner in a thread of its own, until the end of the block."""

    def __init__(self, place: ProgramPlace) -> None:
        self.runner = Runner(place.settings, programs=place.programs)
        self._thread = threading.Thread(target=self.runner.run_until_idle, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()
        self.runner.close()

    def join(self, seconds: float = 60.0) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive()
