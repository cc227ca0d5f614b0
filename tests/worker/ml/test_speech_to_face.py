"""A face is a function of its recording and the weights alone, and only weights that belong together are used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from worker.ml.errors import MediaError, ModelError
from worker.ml.model_files import ModelConfig, write_model
from worker.ml.model_folders import CONFIG_FILE, WEIGHTS_FILE, find_model
from worker.ml.speech_to_face import SpeechToFace
from worker.ml.voice_features import WINDOW_SAMPLES, cut_windows

TINY = ModelConfig(
    name="tiny",
    revision=3,
    clip_seconds=3.2,
    voice_encoder={"hidden": 16, "layers": 1, "embedding": 12},
    face_generator={"latent": 6, "texture_size": 16, "field_grid": 4},
)


def voice(seed: int, seconds: float = 2.0) -> npt.NDArray[np.float32]:
    """Noise of its own colour, float32 `[T]`."""
    noise = np.random.default_rng(seed).normal(0, 0.2, round(seconds * 16_000))
    return np.convolve(noise, np.hanning(3 + 5 * (seed % 9)), mode="same").astype(np.float32) / 4


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = SpeechToFace(TINY)
    state = {
        name: torch.randn_like(value) * 0.3 if "directions" in name or "spread" in name else value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture(scope="module")
def default() -> SpeechToFace:
    return SpeechToFace.from_pretrained(find_model("default"), "cpu")


def test_a_model_says_what_it_is(default: SpeechToFace) -> None:
    assert default.version == f"default@{default.config.revision}"
    assert (default.image_size, default.sample_rate) == (224, 16_000)
    assert len(default.weights_sha256) == 64


def test_a_batch_of_one_and_a_batch_of_many_agree_within_one_grey_level(default: SpeechToFace) -> None:
    voices = [voice(seed, 0.5 + 0.37 * seed) for seed in range(33)]
    together = default.draw(voices)
    assert together.shape == (33, 224, 224, 3)
    assert together.dtype == np.uint8
    for number in (0, 5, 20, 32):
        alone = default.draw([voices[number]])[0]
        assert np.abs(alone.astype(int) - together[number]).max() <= 1


def test_the_same_recording_gives_the_same_bytes_every_time(default: SpeechToFace) -> None:
    again = SpeechToFace.from_pretrained(find_model("default"), "cpu")
    voices = [voice(1), voice(2)]
    first = default.draw(voices)
    np.testing.assert_array_equal(first, default.draw(voices))
    np.testing.assert_array_equal(first, again.draw(voices))


def test_different_voices_get_different_faces(default: SpeechToFace) -> None:
    one, two = default.draw([voice(1), voice(8)]).astype(int)
    assert np.abs(one - two).mean() > 3


def test_drawing_nothing_gives_nothing(default: SpeechToFace) -> None:
    assert default.draw([]).shape == (0, 224, 224, 3)


def test_loudness_does_not_change_a_quiet_voice(default: SpeechToFace) -> None:
    quiet = voice(3) * 0.01
    quieter = quiet * 0.5
    one, two = default.draw([quiet, quieter]).astype(int)
    assert np.abs(one - two).max() <= 1


def test_windows_cover_the_clip_and_short_clips_are_padded() -> None:
    assert cut_windows(voice(0, 0.6), 6.4).shape == (1, WINDOW_SAMPLES)
    assert cut_windows(voice(0, 5.0), 6.4).shape == (4, WINDOW_SAMPLES)
    assert cut_windows(voice(0, 60.0), 6.4).shape == (4, WINDOW_SAMPLES)


def test_a_saved_model_comes_back_the_same(tiny: Path, tmp_path: Path) -> None:
    model = SpeechToFace.from_pretrained(tiny, "cpu")
    model.save_pretrained(tmp_path / "copy")
    copy = SpeechToFace.from_pretrained(tmp_path / "copy", "cpu")
    assert copy.version == "tiny@3"
    assert copy.weights_sha256 == model.weights_sha256
    np.testing.assert_array_equal(copy.draw([voice(1)]), model.draw([voice(1)]))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        SpeechToFace.from_pretrained(folder, "cpu")
    return caught.value.code


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "model_not_found"


def test_a_configuration_without_weights_is_refused(tiny: Path) -> None:
    (tiny / WEIGHTS_FILE).unlink()
    assert refusal(tiny) == "model_not_found"


def test_truncated_weights_are_refused(tiny: Path) -> None:
    whole = (tiny / WEIGHTS_FILE).read_bytes()
    (tiny / WEIGHTS_FILE).write_bytes(whole[:-100])
    assert refusal(tiny) == "checkpoint_mismatch"


def test_weights_of_another_model_are_refused(tiny: Path) -> None:
    shutil.copy(find_model("default") / WEIGHTS_FILE, tiny / WEIGHTS_FILE)
    assert refusal(tiny) == "checkpoint_mismatch"


def test_weights_that_are_not_numbers_are_refused(tiny: Path) -> None:
    tensors = {name: value.float() for name, value in load_file(tiny / WEIGHTS_FILE).items()}
    tensors["voice_encoder.linear.bias"][0] = float("nan")
    write_model(tiny, TINY, tensors)
    assert refusal(tiny) == "checkpoint_mismatch"


def test_weights_of_other_sizes_are_refused(tiny: Path) -> None:
    config = json.loads((tiny / CONFIG_FILE).read_text())
    config["face_generator"]["latent"] = 7
    (tiny / CONFIG_FILE).write_text(json.dumps(config))
    assert refusal(tiny) == "checkpoint_mismatch"


@pytest.mark.parametrize("text", ["{", "{}", '{"kind": "other"}', "[]"])
def test_a_broken_configuration_is_refused(tiny: Path, text: str) -> None:
    (tiny / CONFIG_FILE).write_text(text)
    assert refusal(tiny) == "checkpoint_mismatch"


def test_a_model_is_found_by_name_by_version_and_by_folder(tiny: Path) -> None:
    assert find_model("default") == find_model("default@3")
    assert find_model(str(tiny)) == tiny
    for wrong in ("default@99", "nobody", "../weights/nobody", ""):
        with pytest.raises(ModelError) as caught:
            find_model(wrong)
        assert caught.value.code == "model_not_found"


def test_errors_cross_process_boundaries_whole() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(ModelError("model_not_found", "There is none.")))
    assert isinstance(error, MediaError)
    assert (error.code, error.message) == ("model_not_found", "There is none.")


@pytest.mark.gpu
def test_a_gpu_draws_what_a_cpu_draws(default: SpeechToFace) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    voices = [voice(seed) for seed in range(4)]
    drawn = SpeechToFace.from_pretrained(find_model("default"), "cuda").draw(voices)
    assert np.abs(drawn.astype(int) - default.draw(voices)).max() <= 1
