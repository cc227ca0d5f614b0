"""The whole way, with nothing made up but the people: a schedule fires, and what draws afterwards is its model."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.config import BUNDLED_WEIGHTS, Settings
from core.datasets.collections import add_files, ensure_collection
from core.incoming.recordings import take_in
from core.ledger.schedule_tables import ScheduleRun
from core.ledger.tables import Alias, ModelVersion, User
from core.ledger.training_tables import AliasMove
from core.models.registry import register_model, resolve_model
from core.schedules.specs import NewSchedule
from core.schedules.states import RUN_OPEN, RunState
from core.schedules.steering import create_schedule
from core.states import JobState
from core.ticker import Scheduling
from tests.worker.ml.small_networks import LENGTH
from tests.worker.ml.synthetic_people import face, people, voice
from tests.worker.program_place import ProgramPlace
from tests.worker.training.made_up import DECODER_SIZES, SIZE, VE_CONV_SIZES
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.vgg_face import VGGFace, VGGFaceConfig

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")

LOOP = {"epochs": 2, "batch": 4, "optimiser": {"learning_rate": 3e-3}}
TEMPLATE: dict[str, Any] = {
    "source": {"collection": "people"},
    "prepare": {
        "voice": {"features": ["ve_conv"]},
        "face": {"outputs": ["picture", "embedding"], "size": SIZE, "encoder": "vgg_face"},
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
        "shard_entries": 16,
    },
    "training": {
        "model": "voices",
        "recipe": {"task": "ve_conv", "sizes": VE_CONV_SIZES, "loop": LOOP},
        "machine": {"precision": "fp32", "loader_threads": 1, "sample_pictures": 2},
        "after": {"gate": {"metric": "ssim"}, "promote": True},
    },
    "warm_start": True,
}


class FastClock:
    """A second is a day; and a night passes when somebody sleeps."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._slept = timedelta(0)

    def __call__(self, _session: Session) -> datetime:
        awake = timedelta(days=time.monotonic() - self._began)
        return datetime(2026, 11, 2, tzinfo=UTC) + awake + self._slept

    def sleep(self) -> None:
        self._slept += timedelta(days=1)


class RetrainingPlace(ProgramPlace):
    """A registry in which nothing draws: there are only the frozen networks that a training builds on."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        with self.database.write() as session:
            for table in (AliasMove, Alias):
                session.execute(delete(table))
            session.execute(delete(ModelVersion))
        torch.manual_seed(7)
        networks = {
            "vgg_face": VGGFace(
                VGGFaceConfig(
                    image_size=SIZE, widths=(4, 8), depths=(1, 1), embedding_length=LENGTH, classes=5
                )
            ),
            "face_decoder": FaceDecoder(FaceDecoderConfig(embedding_length=LENGTH, **DECODER_SIZES)),
        }
        for name, network in networks.items():
            network.eval().save_pretrained(folder / name)
            register_model(self.database, self.store, folder / name, name=name)
        self.clock = FastClock()
        self.scheduling = Scheduling(self.database, self.store, self.settings, clock=self.clock)

    def add_people(self, numbers: range) -> None:
        """A voice and a face of each."""
        files: dict[str, str] = {}
        everybody = people(numbers.stop, seed=3)
        for number in numbers:
            draw = np.random.default_rng(number)
            sound, drawn = io.BytesIO(), io.BytesIO()
            soundfile.write(sound, voice(everybody[number], draw, 0.6), 16_000, format="WAV")
            pixels = (face(everybody[number], draw, SIZE).transpose(1, 2, 0) + 1) * 127.5
            Image.fromarray(pixels.round().astype(np.uint8)).save(drawn, "PNG")
            for name, held in (("voice.wav", sound), ("face.png", drawn)):
                held.seek(0)
                taken = take_in(self.database, self.store, held, owner_id=self.owner, max_bytes=2**30)
                files[f"p{number:02}/{name}"] = taken.sha256
        with self.database.write() as session:
            user = session.get_one(User, self.owner)
            add_files(session, user, ensure_collection(session, user, "people"), files)

    def live_until(
        self, done: Callable[[list[ScheduleRun]], bool], seconds: float = 240
    ) -> list[ScheduleRun]:
        """Ticks and works, as the ticker and a worker do, until the runs are as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            self.scheduling.round()
            self.work()
            with self.database.read() as session:
                query = select(ScheduleRun).where(ScheduleRun.state != RunState.SKIPPED)
                runs = list(session.scalars(query.order_by(ScheduleRun.id)))
            for run in runs:
                if run.state is RunState.FAILED:
                    pytest.fail("\n".join([run.reason, *self.log(run.train_job_id or "")[-30:]]))
            if done(runs):
                return runs
            if not any(run.state in RUN_OPEN for run in runs):
                self.clock.sleep()
            assert time.monotonic() < deadline, [(run.state, run.reason) for run in runs]

    def draw(self, name: str) -> str:
        """Draws a voice with what is in place; answers the model that did."""
        sound = io.BytesIO()
        soundfile.write(
            sound, voice(people(1, seed=9)[0], np.random.default_rng(5), 3.0), 16_000, format="WAV"
        )
        job = self.submit({name: sound.getvalue()})
        self.work()
        assert self.job(job).state is JobState.COMPLETED, [item.error_message for item in self.items_of(job)]
        with self.database.read() as session:
            return session.get_one(ModelVersion, self.job(job).model_version_id or "").label

    def items_of(self, job: str) -> list[Any]:
        return self.ledger.items(job)


@pytest.fixture
def place(sqlite_settings: Settings, tmp_path: Path) -> Iterator[RetrainingPlace]:
    settings = {"cache_folder": tmp_path / "cache", "device": "cpu"}
    place = RetrainingPlace(sqlite_settings.model_copy(update=settings), tmp_path)
    yield place
    place.database.dispose()


@pytest.mark.timeout(600)
def test_from_an_empty_registry_a_schedule_leads_to_the_model_that_draws(place: RetrainingPlace) -> None:
    place.add_people(range(12))
    with place.database.read() as session:
        user = session.get_one(User, place.owner)
    create_schedule(
        place.database,
        user,
        NewSchedule.model_validate({"name": "weekly", "cron": "0 3 * * 1", "template": TEMPLATE}),
        clock=place.clock,
    )

    def has_a_version(runs: list[ScheduleRun]) -> bool:
        return bool(runs) and runs[0].state not in RUN_OPEN

    first = place.live_until(has_a_version)[0]
    assert (first.state, first.why) == (RunState.PROMOTED, "cron"), first.reason
    assert first.fire_time.weekday() == 0
    assert (first.result["dataset"], first.result["version"], first.result["parent"]) == (
        "people@1",
        "voices@1",
        None,
    )
    assert first.result["evaluation"].startswith("evaluation_")
    assert first.result["gate"]["passed"] is True
    with place.database.read() as session:
        assert resolve_model(session, "production").label == "voices@1"
    assert place.draw("a.wav") == "voices@1"

    # A week later nothing has changed.
    later = place.live_until(lambda runs: any(run.state is RunState.NOTHING_NEW for run in runs))
    assert [run.result.get("version") for run in later] == ["voices@1", *[None] * (len(later) - 1)]

    # Somebody comes: what is new is prepared, training begins where the last one ended, and the gate has something to
    # compare with.
    place.add_people(range(12, 16))
    runs = place.live_until(lambda runs: sum(run.result.get("version") is not None for run in runs) == 2)
    second = runs[-1] if runs[-1].result.get("version") else runs[-2]
    assert second.state in (RunState.PROMOTED, RunState.KEPT)
    assert (second.result["dataset"], second.result["version"], second.result["parent"]) == (
        "people@2",
        "voices@2",
        "voices@1",
    )
    assert second.result["gate"]["production"] is not None
    assert place.job(second.prepare_job_id or "").cached > 0
    in_place = "voices@2" if second.state is RunState.PROMOTED else "voices@1"
    assert place.draw("b.wav") == in_place
