"""Any encoder draws with any decoder that fits it: from the shell and through a job, from voices and from faces."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import BUNDLED_WEIGHTS
from core.ledger.tables import Job
from core.models.registry import pair_models, register_model
from core.queries import ItemRow, items_page
from core.specs import InferSpec
from core.states import ItemState, JobState
from tests.worker.ml.small_networks import save_small_networks
from tests.worker.place import Place
from worker import draw
from worker.ml.errors import ModelError
from worker.ml.pair import Pair
from worker.ml.pictures import LANDMARKS_KEY, read_metadata

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

VOICE_PAIRS = [
    ("ve_conv", "face_decoder"),
    ("matching_speech_encoder", "conditional_generator"),
]
FACE_PAIRS = [("vgg_face", "face_decoder"), ("matching_face_encoder", "conditional_generator")]

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_small_networks(tmp_path_factory.mktemp("networks"))


def voices(count: int = 3) -> dict[str, bytes]:
    paths = sorted(path for path in SAMPLES.iterdir() if path.suffix == ".flac")[:count]
    return {path.name: path.read_bytes() for path in paths}


def pictures(count: int = 3) -> dict[str, bytes]:
    """Patterns as picture files: what a network makes of them does not matter here."""
    files = {}
    for number in range(count):
        rgb = np.random.default_rng(number).integers(0, 255, (40 + 8 * number, 50, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "PNG")
        files[f"picture {number}.png"] = file.getvalue()
    return files


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def register_pair(place: Place, networks: dict[str, Path], encoder: str, decoder: str) -> str:
    for kind in (encoder, decoder):
        register_model(place.database, place.store, networks[kind], name=kind)
    return pair_models(place.database, place.store, encoder=encoder, decoder=decoder, name="pair").label


def drawn_by_job(place: Place, job_id: str) -> list[ItemRow]:
    place.work()
    with place.database.read() as session:
        job = session.get(Job, job_id)
        assert job is not None
        assert job.state is JobState.COMPLETED
        return items_page(session, job_id, limit=100)


@pytest.mark.parametrize(("encoder", "decoder"), [*VOICE_PAIRS, *FACE_PAIRS])
def test_a_job_and_the_shell_draw_the_same_faces_with_a_pair(
    place: Place, networks: dict[str, Path], tmp_path: Path, encoder: str, decoder: str
) -> None:
    inputs = pictures() if (encoder, decoder) in FACE_PAIRS else voices()
    label = register_pair(place, networks, encoder, decoder)
    job = place.submit(inputs, InferSpec(model=label))
    rows = drawn_by_job(place, job)
    out = tmp_path / "out"
    model = f"{networks[encoder]}+{networks[decoder]}"
    source = write(tmp_path / "in", inputs)
    (source / "notes.txt").write_text("lies beside recordings and pictures alike")
    assert draw.main([str(source), "--out", str(out), "--model", model, "--device", "cpu"]) == 0
    assert len(rows) == len(inputs)
    for row in rows:
        face = place.store.get(row.face_key or "")
        said = read_metadata(face)
        assert said["model_version"] == "pair@1"
        assert "AI-generated" in said["Description"]
        assert ("from a picture" in said["Description"]) == ((encoder, decoder) in FACE_PAIRS)
        assert (LANDMARKS_KEY in said) == (decoder == "face_decoder")
        by_shell = pixels((out / f"{Path(row.name).stem}.png").read_bytes()).astype(int)
        assert np.abs(pixels(face).astype(int) - by_shell).max() <= 2
        assert place.store.get(row.spectrogram_key or "")[:4] == b"\x89PNG"
        assert (row.duration_seconds is None) == ((encoder, decoder) in FACE_PAIRS)


def test_another_seed_is_another_face_and_the_same_seed_the_same(
    place: Place, networks: dict[str, Path]
) -> None:
    label = register_pair(place, networks, "matching_speech_encoder", "conditional_generator")
    faces = {}
    for name, seed in (("first", 0), ("other", 5), ("again", 5)):
        rows = drawn_by_job(place, place.submit(voices(1), InferSpec(model=label, seed=seed)))
        faces[name] = place.store.get(rows[0].face_key or "")
        assert rows[0].state is (ItemState.CACHED if name == "again" else ItemState.DONE)
    assert faces["again"] == faces["other"]
    assert np.abs(pixels(faces["first"]).astype(int) - pixels(faces["other"])).max() > 2


def test_a_recording_is_refused_where_a_face_is_wanted(place: Place, networks: dict[str, Path]) -> None:
    label = register_pair(place, networks, "vgg_face", "face_decoder")
    job = place.submit({**voices(1), **pictures(1)}, InferSpec(model=label))
    place.work()
    with place.database.read() as session:
        rows = items_page(session, job, limit=10)
    assert [(row.state, row.error_code) for row in rows] == [
        (ItemState.FAILED, "not_image"),
        (ItemState.DONE, None),
    ]


def test_networks_that_do_not_fit_are_refused_with_both_names(networks: dict[str, Path]) -> None:
    with pytest.raises(
        ModelError, match=r"ve_conv@1 and conditional_generator@1 do not fit.*trained on matching"
    ):
        Pair.from_folders(networks["ve_conv"], networks["conditional_generator"], "cpu")
    with pytest.raises(ModelError, match="face_decoder@1 encodes neither voices nor faces"):
        Pair.from_folders(networks["face_decoder"], networks["face_decoder"], "cpu")
    with pytest.raises(ModelError, match="ve_conv@1 draws no faces"):
        Pair.from_folders(networks["ve_conv"], networks["ve_conv"], "cpu")


def test_half_a_model_is_refused_by_draw_with_what_to_do(
    networks: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(SAMPLES), "--out", str(tmp_path / "out"), "--model", str(networks["ve_conv"])]
    assert draw.main(arguments) == 2
    assert "ENCODER+DECODER" in capsys.readouterr().err
