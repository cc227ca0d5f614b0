"""Every task, small, through the engine: it learns, and what it leaves draws or encodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worker.training.made_up import SIZE, MadeUp, spec
from tests.worker.training.running import Run, begun, recipe, run
from worker.ml.networks.catalogue import load_network
from worker.ml.networks.pretrained import Decoder, Encoder
from worker.ml.pair import Pair

VOICES = [np.random.default_rng(seed).normal(0, 0.1, 16_000).astype(np.float32) for seed in range(2)]
FACES = [np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), np.uint8) for seed in range(2)]
PANELS = {"face_decoder": 4, "ve_conv": 3, "ast": 3, "gan": 5}


@pytest.fixture(scope="module")
def matched(made_up: MadeUp, work: Path) -> Run:
    """Encoders that a GAN can stand on."""
    loop = {"epochs": 3, "batch": 8, "optimiser": {"learning_rate": 5e-3}}
    return run(made_up, work / "matched", spec(recipe("matching", loop=loop)))


def falls(curve: list[float]) -> bool:
    third = max(1, len(curve) // 3)
    return float(np.mean(curve[-third:])) < float(np.mean(curve[:third]))


@pytest.mark.parametrize("warp", [False, True])
def test_a_face_decoder_learns_and_draws(made_up: MadeUp, tmp_path: Path, warp: bool) -> None:
    done = run(made_up, tmp_path, spec(recipe("face_decoder", warp=warp)))
    assert falls(done.curve("train/total")) and falls(done.curve("validation/landmarks.rmse"))
    pair = Pair.from_folders(made_up.models["vgg_face"], tmp_path / "model" / "decoder", "cpu")
    faces = pair.draw(FACES)
    assert faces.shape == (2, 32, 32, 3) and faces.std() > 0
    assert done.ended is not None and done.ended.result["model"] == {"decoder": "decoder"}
    assert list((tmp_path / "samples").glob("*.png"))


@pytest.mark.parametrize("task", ["ve_conv", "ast"])
def test_a_voice_encoder_learns_and_draws_through_the_decoder(
    made_up: MadeUp, tmp_path: Path, task: str
) -> None:
    done = run(made_up, tmp_path, spec(recipe(task)))
    assert falls(done.curve("train/total"))
    assert done.curve("validation/embedding.cosine")[-1] > done.curve("validation/embedding.cosine")[0]
    for part in ("base", "face_encoder", "face_decoder"):
        assert done.curve(f"train/{part}") and done.curve(f"validation/{part}")
    pair = Pair.from_folders(tmp_path / "model" / "encoder", made_up.models["face_decoder"], "cpu")
    assert pair.draw(VOICES).shape == (2, 32, 32, 3)
    if task == "ast":
        assert pair.encoder.config.mean != type(pair.encoder.config)().mean


def test_matching_learns_and_its_two_encoders_share_a_space_of_their_own(
    made_up: MadeUp, matched: Run
) -> None:
    assert falls(matched.curve("train/total"))
    for name in ("voice_to_face.2", "face_to_voice.10", "voice_to_face.2.same_gender"):
        assert all(0 <= value <= 1 for value in matched.curve(f"validation/matching.{name}"))
    model = matched.folder / "model"
    voice, face = load_network(model / "voice", "cpu"), load_network(model / "face", "cpu")
    assert isinstance(voice, Encoder) and isinstance(face, Encoder)
    assert voice.embedding_space == face.embedding_space
    assert voice.embedding_space.startswith("made-up:") and len(voice.embedding_space) == len("made-up:") + 8
    lengths = voice.encode(VOICES).norm(dim=1), face.encode(FACES).norm(dim=1)
    assert all(torch.allclose(one, torch.ones(2)) for one in lengths)


def test_heads_on_pretrained_encoders_learn_and_encode_recordings_and_pictures(
    made_up: MadeUp, tmp_path: Path
) -> None:
    wanted = recipe(
        "matching",
        features="pretrained",
        face_encoder="vgg_face",
        sizes={"embedding_length": 12, "hidden_length": 8, "dropout": 0.1},
        face_sizes={"image_size": 16},
        augmentation={"brightness": 0.1},
    )
    done = run(made_up, tmp_path, spec(wanted))
    assert falls(done.curve("train/total"))
    voice = load_network(tmp_path / "model" / "voice", "cpu")
    face = load_network(tmp_path / "model" / "face", "cpu")
    assert (voice.kind, face.kind) == ("voice_head", "face_head")
    assert isinstance(voice, Encoder) and isinstance(face, Encoder)
    assert voice.encode(VOICES).shape == face.encode(FACES).shape == (2, 12)
    assert voice.embedding_space == face.embedding_space
    assert voice.clip_seconds == 6.4


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objective": "relativistic_average", "face_encoder": "face", "discriminator_sizes": {}},
        {"objective": "standard"},
        {"objective": "hinge", "r1_weight": 0, "average": None},
        {"condition": "noise", "identity_weight": 0},
    ],
    ids=["default", "average, from the face encoder", "standard", "hinge", "noise"],
)
def test_a_gan_trains_and_its_generator_draws_what_the_voice_encoder_hears(
    made_up: MadeUp, matched: Run, tmp_path: Path, changes: dict[str, object]
) -> None:
    models = {"matching-voice": matched.folder / "model" / "voice", "face": matched.folder / "model" / "face"}
    done = run(made_up, tmp_path, spec(recipe("gan", **changes)), models)
    assert all(
        np.isfinite(done.curve(f"train/{player}/total")).all() for player in ("generator", "discriminator")
    )
    pair = Pair.from_folders(models["matching-voice"], tmp_path / "model" / "generator", "cpu")
    first, again, other = pair.draw(VOICES), pair.draw(VOICES), pair.draw(VOICES, seed=1)
    assert first.shape == (2, 16, 16, 3) and np.array_equal(first, again)
    assert not np.array_equal(first, other) and not np.array_equal(first[0], first[1])
    assert isinstance(pair.decoder, Decoder)
    assert load_network(tmp_path / "model" / "discriminator", "cpu").kind == "projection_discriminator"


@pytest.mark.parametrize("task", PANELS)
def test_panels_show_the_target_first(made_up: MadeUp, matched: Run, task: str) -> None:
    models = {"matching-voice": matched.folder / "model" / "voice"}
    started, _ = begun(made_up, spec(recipe(task)), models)
    _, validation = started.sources("training" if task != "ast" else "head", 0)
    assert validation is not None
    samples = [validation.read(at, np.random.default_rng(at)) for at in range(2)]
    batch = {name: torch.from_numpy(np.stack([one[name] for one in samples])) for name in samples[0]}
    for player in started.players:
        player.network.eval()
    with torch.no_grad():
        panels = started.panels(batch, torch.Generator().manual_seed(0))
    assert len(panels) == 2
    for panel in panels:
        assert panel.titles[0] == "photograph" and len(panel.titles) == len(panel.pictures) == PANELS[task]
        assert {picture.dtype for picture in panel.pictures} == {np.dtype(np.uint8)}
        assert len({picture.shape for picture in panel.pictures}) == 1
