"""Every page that says how to do something, played: its commands are typed as they stand there, on a real service.

A test is named after its page. Words that only a reader can fill in are filled in here; where a page wants another host
or a GPU, there is a process of this machine.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from core.client_views import JobView
from core.config import BUNDLED_WEIGHTS, to_environment
from core.objects import recording_key
from core.service import find_service
from core.stack.ports import choose
from core.states import ItemState, JobState
from tests.docs.house_of_the_manual import HOW_TO, SAMPLES, House, Room
from tests.docs.played_pages import blocks
from tests.docs.terminals import Running
from tests.servers import Postgres, start_seaweed, start_valkey
from tests.worker.ml.synthetic_people import people, voice
from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.original_weights import default_config
from worker.ml.networks.ve_conv import VEConv
from worker.ml.speech_to_face import SpeechToFace

pytestmark = [
    pytest.mark.soak,
    pytest.mark.stack,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="there is no model in weights/ yet"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git lists what a clone has, and is not here"),
]

PEOPLE = 30
# The default model has more directions than there are people here.
SMALL = "--set recipe.latent=8 --set recipe.hidden=16"


@pytest.fixture(scope="module")
def folder_of_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of them with what nobody said and a drawn face."""
    root = tmp_path_factory.mktemp("drawn") / "people"
    model = SpeechToFace.from_pretrained(BUNDLED_WEIGHTS, "cpu")
    chance = torch.Generator().manual_seed(1)
    latents = torch.randn(PEOPLE, model.config.face_generator["latent"], generator=chance)
    with torch.no_grad():
        faces = model.face_generator(latents).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for number, (traits, face) in enumerate(zip(people(PEOPLE, seed=3), faces, strict=True)):
        person = root / f"person {number:02d}"
        person.mkdir(parents=True)
        soundfile.write(person / "talk.wav", voice(traits, np.random.default_rng(number), 2.0), 16_000)
        Image.fromarray(face).save(person / "portrait.png")
    return root


@pytest.fixture
def people_here(room: Room, folder_of_people: Path) -> Room:
    shutil.copytree(folder_of_people, room.folder / "people")
    return room


def new_voices(room: Room, name: str, seed: int) -> None:
    """Three recordings in a folder of that name that nobody has drawn yet."""
    (room.folder / name).mkdir()
    for number, traits in enumerate(people(3, seed=seed)):
        samples = voice(traits, np.random.default_rng(seed), 2.0)
        soundfile.write(room.folder / name / f"{number}.wav", samples, 16_000)


def second_model(room: Room, name: str) -> str:
    """Registers a model that draws a little otherwise than the default one."""
    model = SpeechToFace.from_pretrained(BUNDLED_WEIGHTS, "cpu")
    with torch.no_grad():
        next(model.voice_to_face.parameters()).mul_(0.9)
    model.save_pretrained(room.folder / "another")
    said = room.type(f"voicesketch models import-folder another --name {name}")
    found = re.search(rf"{name}@\d+", said)
    assert found, said
    return found[0]


def ended(room: Room, state: JobState = JobState.COMPLETED) -> JobView:
    job = room.house.newest()
    assert job.state is state, job
    return job


def test_submit_a_bucket(house: House, room: Room) -> None:
    bucket = house.store().of_bucket("archive")
    bucket.ensure_bucket()
    for name in SAMPLES:
        bucket.put(f"voices/2026/{name}", (room.folder / "voices" / name).read_bytes(), "audio/flac")
    bucket.put("voices/2026/notes.txt", b"no recording", "text/plain")
    for command, printed in room.play("submit-a-bucket"):
        if "--dry-run" in command:
            assert "3 recordings" in printed and "1 other file would be left out." in printed
    assert ended(room).name == "archive 2026"
    assert len(list((room.folder / "faces").glob("*.png"))) == 4  # the contact sheet is one of them


def test_retry_what_failed(house: House, room: Room) -> None:
    for seed, name in enumerate(("some", "more", "others"), 100):
        new_voices(room, name, seed)
    room.type("voicesketch submit some --wait")
    store = house.store()
    with house.nobody_at_work():
        room.type("voicesketch submit more")
        lost = next(iter(house.client.items(house.newest().id)))
        assert lost.recording is not None
        key = recording_key(lost.recording)
        content = store.get(key)
        store.delete(key)
    room.type("voicesketch jobs watch last", ends_with=1)
    store.put(key, content, "audio/flac")  # the place is mended
    for command, printed in room.play(
        "retry-what-failed", {"JOB": "last", "worker_lost": "recording_missing"}
    ):
        if command == "voicesketch jobs show last":
            assert "1 x recording_missing" in printed
        elif "--state failed" in command:
            assert printed.count("\n") == 1 and "recording_missing" in printed
        elif "--code" in command:
            assert ended(room).counts[ItemState.DONE] == 3
            with house.nobody_at_work():
                room.type("voicesketch submit others")
                room.type("voicesketch jobs cancel last")
    room.type("voicesketch jobs watch last")
    assert ended(room).counts[ItemState.DONE] == 3


def test_train_on_your_own_people(people_here: Room) -> None:
    room = people_here
    for command, printed in room.play("train-on-your-own-people", {"--name mine": f"--name mine {SMALL}"}):
        if "prepare" in command and "--dry-run" in command:
            assert f"{PEOPLE} people" in printed
        elif command.startswith("voicesketch datasets show"):
            assert printed.startswith("people@") and f"of {PEOPLE} people" in printed
        elif "train default" in command and "--dry-run" in command:
            assert '"latent": 8' in printed
    result = room.house.client.training(ended(room).id)["result"]
    assert result is not None and result["version"].startswith("mine@")
    assert result["evaluation"] is not None and result["gate"] is not None


def test_compare_two_models(people_here: Room) -> None:
    room = people_here
    room.type("voicesketch prepare people/ --name people --voice waveform --wait")
    other = second_model(room, "drawer")
    for command, printed in room.play("compare-two-models", {"drawer@3": other}):
        if command.startswith("voicesketch models compare"):
            assert other in printed and "Finds the face of a voice among 2" in printed
        elif "--job last" in command:
            assert ended(room).model == other
        elif command.startswith("voicesketch models promote"):
            aliases = {one["alias"]: one["model"] for one in room.house.client.aliases()}
            assert aliases["production"] == other
    aliases = {one["alias"]: one["model"] for one in room.house.client.aliases()}
    assert aliases["production"].startswith("default@")


def test_import_weights(room: Room) -> None:
    for kind, network in (("ve_conv", VEConv), ("face_decoder", FaceDecoder)):
        fresh = network(default_config(kind)).half().state_dict()
        theirs = {name.removeprefix("layers."): values for name, values in fresh.items()}
        torch.save({"epoch": 3, "model_state_dict": theirs}, room.folder / f"{kind}.pt")
        room.type(f"voicesketch models import {kind}.pt --as {kind} --out {kind}")
    for command, _ in room.play("import-weights", {"ENCODER_DIR+DECODER_DIR": "ve_conv+face_decoder"}):
        if "--model sketcher" in command:
            assert ended(room).model == "sketcher@1"
    assert len(list((room.folder / "faces").glob("*.png"))) >= 4


def test_retrain_each_monday(people_here: Room) -> None:
    room = people_here
    for command, printed in room.play("retrain-each-monday"):
        if "collections add" in command:
            assert f"{2 * PEOPLE} files are new in people, 0 were there." in printed
        elif "schedules show" in command:
            assert "Monday" in printed
        elif "schedules run" in command:
            run = room.house.client.schedule("weekly").raw["last_run"]
            assert run is not None and run["why"] == "by_hand"
            room.type(f"voicesketch schedules cancel weekly {run['id']}")
    assert room.house.client.schedule("weekly").raw["paused_at"]


def test_let_others_in(house: House, room: Room) -> None:
    for command, printed in room.play("let-others-in"):
        if "users add" in command:
            assert "/sign-in/" in printed
        elif "tokens new" in command:
            assert "vs_" in printed
    roles = {one["name"]: one["role"] for one in json.loads(room.type("voicesketch users list --json"))}
    assert (roles["ada"], roles["grace"]) == ("submitter", "operator")


def test_delete_somebodys_data(house: House, room: Room) -> None:
    if "ada" not in room.type("voicesketch users list"):
        room.type("voicesketch users add ada --role submitter")
    token = json.loads(room.type("voicesketch users token ada --json"))["token"]
    room.type(f"voicesketch submit voices --wait --url {house.client.url} --token {token}")
    themselves = {"erase --yes": f"erase --yes --url {house.client.url} --token {token}"}
    for command, printed in room.play("delete-somebodys-data", themselves):
        if command.startswith("voicesketch erase ada"):
            verb = "Deleted" if "--yes" in command else "Would delete"
            assert printed.startswith(f"{verb} of ada: ") and "1 jobs" in printed
    assert not list(house.client.jobs(owner="ada"))


def test_back_up_every_night(room: Room) -> None:
    room.type("voicesketch submit voices --wait")
    there = {"/srv/voicesketch": str(room.house.data), "/mnt/backups": "backups", "15 3 * * *  ": ""}
    (room.folder / "backups").mkdir()
    file = ""
    for block in blocks(HOW_TO / "back-up-every-night.md"):
        for command in block.commands:
            for words, others in there.items():
                command = command.replace(words, others)
            command = re.sub(r"backups/voicesketch-\d{8}T\d{6}Z\.tar", file, command)
            if command.startswith("voicesketch up"):
                command = re.sub(r"--port \d+", "--port 0", command)
                _opened_again(room, command)
                continue
            printed = room.type(command)
            if "voicesketch backup" in command:
                (made,) = (room.folder / "backups").iterdir()
                assert re.fullmatch(r"voicesketch-\d{8}T\d{6}Z\.tar", made.name)
                file = f"backups/{made.name}"
            elif "--check" in command:
                assert printed.splitlines()[-1].startswith("Whole: ")
            else:
                assert printed.splitlines()[-1] == "Start it: voicesketch up --data try"


def _opened_again(room: Room, command: str) -> None:
    house = room.house
    command = command.replace("--port 0", f"--port {choose(['any'])['any']}")
    again = Running((f". '{house.clone}/.venv/bin/activate'", command), room.folder, house.environ)
    try:
        there = {job.id for job in find_service(data=room.folder / "try").jobs(limit=100)}
        assert there == {job.id for job in house.client.jobs(limit=100)}
    finally:
        again.close()


def test_add_a_gpu_host(house: House, room: Room) -> None:
    """Two processes that compute on processors are the new host, with the settings that all others have."""
    with house.settings() as settings:
        environ = {**house.environ, **to_environment(settings)}
    added: list[Running] = []
    new_voices(room, "some", 200)
    room.type("voicesketch submit voices --wait")
    before = {one["id"] for one in house.client.workers()}
    try:
        for block in blocks(HOW_TO / "add-a-gpu-host.md"):
            for command in block.commands:
                if command.startswith("VOICESKETCH_DEVICE="):
                    typed = re.sub(r"cuda:\d", "cpu", command)
                    activate = f". '{house.clone}/.venv/bin/activate'"
                    added.append(Running((activate, typed), room.folder, environ, ready="ready."))
                elif command == "voicesketch workers list":
                    with house.nobody_at_work():
                        room.type("voicesketch submit some --wait")
                    printed = room.type(command)
                    new = {one["id"] for one in house.client.workers()} - before
                    assert new and all(worker in printed for worker in new)
                elif "drain" in command:
                    room.type(command.replace("WORKER", min(new)))
    finally:
        for one in added:
            one.close()
    assert len(added) == 2


def test_move_to_postgresql(house: House, room: Room, postgres: Postgres, tmp_path: Path) -> None:
    """The new place has servers of its own. The stack here goes on; nothing new comes in meanwhile."""
    room.type("voicesketch submit voices --wait")
    broker, store = start_valkey(tmp_path / "valkey"), start_seaweed(tmp_path / "store")
    moved: list[Running] = []
    try:
        with postgres.database() as url:
            filled = {
                "postgresql+psycopg://voicesketch:…@db.example.org/voicesketch": f"'{url}'",
                "redis://:…@broker.example.org:6379/0": f"'{broker.url}'",
                "https://s3.example.org": store.endpoint_url,
                "S3_ACCESS_KEY=…": f"S3_ACCESS_KEY={store.access_key}",
                "S3_SECRET_KEY=…": f"S3_SECRET_KEY={store.secret_key}",
            }
            for command, printed in room.play("move-to-postgresql", filled):
                if "voicesketch restore" in command:
                    assert "Restored: the backup of " in printed
                    moved += _its_processes(room)
            there = json.loads(room.type("voicesketch users list --json"))
            assert "admin" in {one["name"] for one in there}
    finally:
        for one in moved:
            one.close()
        broker.child.stop(5)
        store.child.kill()


def _its_processes(room: Room) -> list[Running]:
    """Preparation and ticker of the place that the terminal's variables name, until nothing is wrong there."""
    room.type(f"export VOICESKETCH_SECRET_KEY={secrets.token_urlsafe(48)} VOICESKETCH_DEVICE=cpu")
    room.type("python -m core.bootstrap")
    given = [line.partition("=") for line in room.type("env").splitlines()]
    environ = {
        **room.house.environ,
        **{name: value for name, _, value in given if name.startswith("VOICESKETCH_")},
    }
    activate = f". '{room.house.clone}/.venv/bin/activate'"
    ticker = Running((activate, "python -m core.ticker"), room.folder, environ, ready="")
    until = time.monotonic() + 120
    while room.terminal.type("voicesketch doctor").code and time.monotonic() < until:
        time.sleep(1)
    return [ticker]
