"""A shard holds everything that could be used, names everything that could not, and is always the same bytes."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.datasets.plan import Plan
from core.errors import LeaseLost, NotFound, StorageUnavailable
from tests.worker.ml.drawn_faces import empty_room, faces, needs_dlib
from tests.worker.ml.small_networks import small_networks
from tests.worker.small_datasets import fetch_of, image, npy, picture, plan_of, recipe, voice
from worker.ml.errors import ModelError
from worker.ml.images import read_picture
from worker.ml.preparation.shards import member_name
from worker.ml.preparation.voices import VoiceFeatures
from worker.ml.voice_spectrograms import (
    FilterBankRecipe,
    SpectrogramRecipe,
    compressed_spectrograms,
    fill_windows,
    filter_banks,
)
from worker.preparation import Changed, PreparedShard, Preparer, assemble

Files = dict[str, bytes | BaseException]


def prepare(
    plan: Plan, files: Files, folder: Path, preparer: Preparer | None = None
) -> tuple[list[PreparedShard], dict[str, Any]]:
    """Every shard, and what became of the dataset."""
    preparer = preparer or Preparer(plan.recipe, device="cpu")
    shards = [preparer.prepare(shard, fetch_of(files), folder) for shard in plan.shards()]
    assembled = assemble(plan, [shard.sidecar for shard in shards])
    return shards, json.loads(assembled.files["report.json"])


def member(shard: PreparedShard, key: str, what: str) -> np.ndarray:
    [entry] = [entry for entry in json.loads(shard.sidecar)["entries"] if entry["key"] == key]
    with tarfile.open(shard.tar) as tar:
        file = tar.extractfile(member_name(entry["number"], what))
        assert file is not None
        content = file.read()
    return read_picture(content).rgb if what == "picture" else np.load(io.BytesIO(content))


def rejects(report: dict[str, Any]) -> dict[str, str]:
    return {reject["key"]: reject["reason"] for reject in report["rejects"]}


def test_features_are_those_of_the_networks_recipes(tmp_path: Path) -> None:
    plan = plan_of(
        {"a/x.wav": "recording"},
        recipe(voice={"features": ["ve_conv", "ast", "waveform"], "waveform_seconds": 0.5}, face=None),
    )
    [shard], _ = prepare(plan, {"a/x.wav": voice(0.8)}, tmp_path)
    waveform = VoiceFeatures(("ve_conv", "ast"), 6.0, torch.device("cpu")).hear(voice(0.8)).waveform
    spectrogram, bank = SpectrogramRecipe(), FilterBankRecipe()
    wanted = compressed_spectrograms(torch.from_numpy(fill_windows([waveform], spectrogram)), spectrogram)[0]
    assert (member(shard, "a/x.wav", "ve_conv") == wanted.numpy()).all()
    stored = member(shard, "a/x.wav", "ast")
    normalised = filter_banks(torch.from_numpy(fill_windows([waveform], bank)), bank)[0].numpy()
    assert np.abs((stored - bank.mean) / (2 * bank.std) - normalised).max() < 1e-5
    assert (member(shard, "a/x.wav", "waveform") == waveform[:8_000]).all()


def test_a_feature_does_not_depend_on_the_others_that_are_asked_for(tmp_path: Path) -> None:
    long = voice(14.0)
    found = []
    for names in (["ve_conv"], ["ve_conv", "ast", "waveform"]):
        folder = tmp_path / str(len(names))
        folder.mkdir()
        plan = plan_of({"a/x.wav": "recording"}, recipe(voice={"features": names}, face=None))
        [shard], _ = prepare(plan, {"a/x.wav": long}, folder)
        found.append(member(shard, "a/x.wav", "ve_conv"))
    assert (found[0] == found[1]).all()


def test_no_more_of_a_recording_is_decoded_than_is_used() -> None:
    voice_features = VoiceFeatures(("ve_conv",), 60.0, torch.device("cpu"))
    assert len(voice_features.hear(voice(14.0)).waveform) == 96_000
    assert VoiceFeatures(("ve_conv", "ast"), 60.0, torch.device("cpu")).seconds == 10.26


def test_clips_in_a_batch_and_alone_have_the_same_features() -> None:
    waveforms = [
        VoiceFeatures(("ve_conv", "ast"), 6.0, torch.device("cpu")).hear(voice(seconds, seed)).waveform
        for seed, seconds in enumerate((0.6, 3.0, 12.0))
    ]
    features = VoiceFeatures(("ve_conv", "ast"), 6.0, torch.device("cpu"))
    together = features.of(waveforms)
    for waveform, batched in zip(waveforms, together, strict=True):
        [alone] = features.of([waveform])
        assert np.abs(batched["ve_conv"] - alone["ve_conv"]).max() < 1e-5
        assert np.abs(batched["ast"] - alone["ast"]).max() < 1e-3


def test_everything_that_is_wrong_with_recordings_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    good = voice()
    files: Files = {
        "a/fine.wav": good,
        "a/UPPER.WAV": voice(seed=1),
        "a/other.flac": voice(seed=2, kind="FLAC"),
        "a/zero length.wav": voice(0.0),
        "a/nothing.wav": b"",
        "a/short.wav": voice(0.2),
        "a/silent.wav": voice()[:44] + bytes(32_000),
        "a/text.wav": b"this is no recording at all, whatever it is called" * 9,
        "a/cut.wav": good[: len(good) // 2],
        "a/locked.wav": PermissionError(errno.EACCES, "Permission denied", "/secret/place"),
        "a/moving.wav": Changed(),
        "a/lost.wav": NotFound("The recording is no longer stored."),
    }
    keys = dict.fromkeys([*files, "a/gone.wav"], "recording")
    shards, report = prepare(plan_of(keys, recipe(face=None)), files, tmp_path)
    assert rejects(report) == {
        "a/zero length.wav": "truncated_audio",
        "a/nothing.wav": "empty_file",
        "a/short.wav": "too_short",
        "a/silent.wav": "no_speech",
        "a/text.wav": "not_audio",
        "a/cut.wav": "truncated_audio",
        "a/locked.wav": "unreadable_file",
        "a/moving.wav": "changed_while_read",
        "a/lost.wav": "unreadable_file",
        "a/gone.wav": "unreadable_file",
    }
    assert all(reject["message"].endswith(".") for reject in report["rejects"])
    assert "/secret" not in json.dumps(report)
    assert report["counts"]["entries"] == sum(shard.kept for shard in shards) == 3
    assert sum(shard.rejected for shard in shards) == 10


def test_everything_that_is_wrong_with_pictures_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    jpeg = picture(kind="JPEG")
    files: Files = {
        "a/fine.png": picture(),
        "a/fine.JPG": jpeg,
        "a/cut.jpg": jpeg[: len(jpeg) // 2],
        "a/sound.png": voice(),
    }
    _, report = prepare(plan_of(dict.fromkeys(files, "picture"), recipe(voice=None)), files, tmp_path)
    assert rejects(report) == {"a/cut.jpg": "corrupt_image", "a/sound.png": "not_image"}


@pytest.mark.parametrize(
    "trouble",
    [StorageUnavailable("the store is away"), LeaseLost("too late"), OSError(errno.EMFILE, "Too many files")],
    ids=lambda trouble: type(trouble).__name__,
)
def test_trouble_of_the_surroundings_ends_the_shard_and_leaves_nothing(
    trouble: Exception, tmp_path: Path
) -> None:
    keys = dict.fromkeys([f"a/{number}.wav" for number in range(4)], "recording")
    files: Files = {**{key: voice() for key in keys}, "a/2.wav": trouble}
    with pytest.raises(type(trouble)):
        prepare(plan_of(keys, recipe(face=None)), files, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_is_not_what_was_planned_is_left_out(tmp_path: Path) -> None:
    content = voice()
    plan = plan_of({"a/x.wav": "recording", "a/y.wav": "recording"}, recipe(face=None))
    sources = (hashlib.sha256(content).hexdigest(), "0" * 64)
    entries = tuple(
        replace(entry, source=source) for entry, source in zip(plan.entries, sources, strict=True)
    )
    plan = replace(plan, entries=entries)
    _, report = prepare(plan, {"a/x.wav": content, "a/y.wav": content}, tmp_path)
    assert rejects(report) == {"a/y.wav": "changed_while_read"}


def test_the_same_inputs_make_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    kinds = {"a.wav": "recording", "b.png": "picture"}
    keys = {f"p{number}/{what}": form for number in range(5) for what, form in kinds.items()}
    files: Files = {key: voice(seed=at) if "wav" in key else picture(at) for at, key in enumerate(keys)}
    plan = plan_of(keys, recipe(voice={"features": ["ve_conv", "ast"]}))
    found = []
    for threads in (1, 7):
        folder = tmp_path / str(threads)
        folder.mkdir()
        shards, _ = prepare(plan, files, folder, Preparer(plan.recipe, device="cpu", threads=threads))
        found.append([(shard.sha256, shard.sidecar) for shard in shards])
    assert found[0] == found[1]


def test_torch_has_as_many_threads_afterwards_as_before(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    prepare(plan_of({"a/x.wav": "recording"}, recipe(face=None)), {"a/x.wav": voice()}, tmp_path)
    assert torch.get_num_threads() == before


def test_whole_pictures_are_squeezed_to_the_size_that_is_asked_for(tmp_path: Path) -> None:
    wide = np.zeros((30, 90, 3), dtype=np.uint8)
    wide[:, 45:] = 255
    plan = plan_of({"a/x.png": "picture"}, recipe(voice=None))
    [shard], _ = prepare(plan, {"a/x.png": image(wide)}, tmp_path)
    kept = member(shard, "a/x.png", "picture")
    assert kept.shape == (32, 32, 3)
    assert kept[:, :14].max() == 0 and kept[:, 18:].min() == 255


def test_pictures_without_need_of_a_face_are_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: object) -> None:
        raise AssertionError("a finder of faces was loaded")

    monkeypatch.setattr("worker.preparation.FaceFinder.__init__", never)
    plan = plan_of({"a/x.png": "picture"}, recipe(voice=None))
    [shard], _ = prepare(plan, {"a/x.png": image(empty_room())}, tmp_path)
    assert shard.kept == 1


@pytest.mark.parametrize("crop", ["none", "face", "aligned"])
def test_faces_are_cut_and_their_landmarks_are_in_pixels_of_the_kept_picture(
    crop: str, tmp_path: Path
) -> None:
    needs_dlib()
    face, other = faces()
    both = np.full((448, 448, 3), 255, dtype=np.uint8)
    both[112:336, :224], both[112:336, 224:] = face, other
    files: Files = {"a/one.png": image(face), "a/two.png": image(both), "a/none.png": image(empty_room())}
    wanted = {"outputs": ["picture", "landmarks"], "crop": crop, "size": 112}
    plan = plan_of(dict.fromkeys(files, "picture"), recipe(voice=None, face=wanted))
    [shard], report = prepare(plan, files, tmp_path)
    assert rejects(report) == {"a/two.png": "several_faces", "a/none.png": "no_face"}
    assert member(shard, "a/one.png", "picture").shape == (112, 112, 3)
    points = member(shard, "a/one.png", "landmarks").reshape(72, 2)
    left_eye, right_eye = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    if crop == "aligned":
        assert left_eye == pytest.approx([0.35 * 112, 0.4 * 112], abs=0.01)
        assert right_eye == pytest.approx([0.65 * 112, 0.4 * 112], abs=0.01)
    assert 0 < left_eye[0] < right_eye[0] < 112
    assert points[48:].mean(axis=0)[1] > left_eye[1] + 15  # the lips


def test_of_several_faces_the_largest_is_taken_where_the_recipe_says_so(tmp_path: Path) -> None:
    needs_dlib()
    face, other = faces()
    both = np.full((224, 400, 3), 255, dtype=np.uint8)
    both[:, :224] = face
    both[40:208, 230:398] = other[28:196, 28:196]
    wanted = {"crop": "face", "several": "largest", "size": 64}
    plan = plan_of({"a/x.png": "picture"}, recipe(voice=None, face=wanted))
    [shard], report = prepare(plan, {"a/x.png": image(both)}, tmp_path)
    assert rejects(report) == {}
    alone = plan_of({"a/x.png": "picture"}, recipe(voice=None, face={**wanted, "several": "reject"}))
    (tmp_path / "alone").mkdir()
    [single], _ = prepare(alone, {"a/x.png": image(both[:, :228])}, tmp_path / "alone")
    difference = member(shard, "a/x.png", "picture").astype(int) - member(single, "a/x.png", "picture")
    assert np.abs(difference).mean() < 12


def test_embeddings_are_made_in_batches_of_what_is_kept(tmp_path: Path) -> None:
    encoder = small_networks()["vgg_face"].eval()
    calls: list[int] = []
    encode = encoder.encode

    def counting(pictures: list[np.ndarray]) -> torch.Tensor:
        calls.append(len(pictures))
        return encode(pictures)

    encoder.encode = counting  # type: ignore[method-assign]
    files: Files = {f"a/{number:02d}.png": picture(number) for number in range(20)}
    wanted = {"outputs": ["picture", "embedding"], "size": 32, "encoder": "vgg@1"}
    plan = plan_of(dict.fromkeys(files, "picture"), recipe(voice=None, face=wanted, shard_entries=64))
    [shard], _ = prepare(plan, files, tmp_path, Preparer(plan.recipe, device="cpu", face_encoder=encoder))
    assert calls == [16, 4]
    kept = [member(shard, key, "picture") for key in files]
    with torch.inference_mode():
        wanted_embeddings = torch.cat([encode(kept[:16]), encode(kept[16:])]).numpy()
    found = np.stack([member(shard, key, "embedding") for key in files])
    assert found.dtype == np.float32 and found == pytest.approx(wanted_embeddings, abs=1e-5)
    assert json.loads(shard.sidecar)["face_encoder"]["version"] == encoder.identity.version


def test_without_an_encoder_a_recipe_of_embeddings_says_what_is_missing(tmp_path: Path) -> None:
    plan = plan_of(
        {"a/x.png": "picture"}, recipe(voice=None, face={"outputs": ["embedding"], "encoder": "x"})
    )
    with pytest.raises(ModelError, match="encoder"):
        prepare(plan, {"a/x.png": picture()}, tmp_path)


def test_companions_are_passed_through_and_checked_by_shape(tmp_path: Path) -> None:
    landmarks, embedding = (
        np.random.default_rng(0).uniform(0, 224, 144).astype(np.float32),
        np.random.default_rng(1).normal(size=4096).astype(np.float32),
    )
    files: Files = {
        "a/x.jpg": picture(0, 224, "JPEG"),
        "a/x_landmarks.npy": npy(landmarks),
        "a/x_embedding.npy": npy(embedding),
        "a/y.jpg": picture(1, kind="JPEG"),
        "a/y_landmarks.npy": npy(embedding),  # the wrong one
        "a/z.jpg": picture(2, kind="JPEG"),
    }
    companions = {
        "a/x.jpg": {"landmarks": "a/x_landmarks.npy", "embedding": "a/x_embedding.npy"},
        "a/y.jpg": {"landmarks": "a/y_landmarks.npy", "embedding": "a/x_embedding.npy"},
        "a/z.jpg": {"landmarks": "a/z_landmarks.npy", "embedding": "a/x_embedding.npy"},
    }
    wanted = {"outputs": ["picture", "landmarks", "embedding"], "size": 112, "encoder": "any"}
    plan = plan_of(dict.fromkeys(companions, "picture"), recipe(voice=None, face=wanted), companions)
    [shard], report = prepare(plan, files, tmp_path)
    assert rejects(report) == {"a/y.jpg": "bad_array", "a/z.jpg": "unreadable_file"}
    assert (member(shard, "a/x.jpg", "embedding") == embedding).all()
    assert member(shard, "a/x.jpg", "landmarks") == pytest.approx((landmarks + 0.5) / 2 - 0.5, abs=1e-4)


def test_arrays_made_before_are_taken_by_shape_and_only_for_what_is_asked(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(-4, 3, (1, 1024, 128)).astype(np.float32)
    features[0, 900:] = 0.467
    files: Files = {
        "a/voice 1.npy": npy(features),
        "a/voice 2.npy": npy(np.zeros((2, 257, 601), np.float32)),
        "a/image.npy": npy(np.ones(4096, np.float32)),
        "a/image_landmarks.npy": npy(np.ones(144, np.float32)),
    }
    wanted = recipe(voice={"features": ["ast"]}, face={"outputs": ["embedding"], "encoder": "any"})
    shards, report = prepare(plan_of(dict.fromkeys(files, "array"), wanted), files, tmp_path)
    assert rejects(report) == {"a/voice 2.npy": "bad_array", "a/image_landmarks.npy": "bad_array"}
    assert (member(shards[0], "a/voice 1.npy", "ast") == features[0]).all()
    dataset = assemble(plan_of(dict.fromkeys(files, "array"), wanted), [shard.sidecar for shard in shards])
    assert json.loads(dataset.files["dataset.json"])["statistics"]["ast"]["frames"] == 900

    more = recipe(voice={"features": ["ast", "waveform"]}, face=None)
    (tmp_path / "more").mkdir()
    _, report = prepare(plan_of({"a/voice 1.npy": "array"}, more), files, tmp_path / "more")
    assert rejects(report) == {"a/voice 1.npy": "bad_array"}


def test_somebody_watching_hears_of_every_entry(tmp_path: Path) -> None:
    keys = dict.fromkeys([f"a/{number:02d}.wav" for number in range(21)], "recording")
    plan = plan_of(keys, recipe(face=None, shard_entries=32))
    told: list[int] = []
    Preparer(plan.recipe, device="cpu").prepare(
        plan.shards()[0], fetch_of({key: voice() for key in keys}), tmp_path, told.append
    )
    assert told == sorted(set(told)) and told[0] < 8 and told[-1] == 21
