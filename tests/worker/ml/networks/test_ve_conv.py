"""VE_conv answers what the original answered, takes clips of any length, and says what it predicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from benchmarks import golden
from tests.worker.ml.networks.recordings import cosine, real_recordings, voice
from worker.ml.networks.initialisation import UnfilledWeights
from worker.ml.networks.ve_conv import VEConv, VEConvConfig

TINY = VEConvConfig(
    seconds=1.0,
    fft_samples=128,
    window_samples=128,
    widths=(4, 6, 8),
    strides=(1, 2, 2),
    pooled=(False, True, False),
    hidden_length=16,
    embedding_length=12,
)


@pytest.fixture(scope="module")
def original(golden_folder: Path) -> VEConv:
    network = golden.made_up_network(golden_folder, "ve_conv")
    assert isinstance(network, VEConv)
    return network


@pytest.fixture
def tiny() -> VEConv:
    torch.manual_seed(1)
    return VEConv(TINY).eval()


def test_it_answers_what_the_original_answered(original: VEConv, golden_folder: Path) -> None:
    assert golden.network_error(golden_folder, "ve_conv", original, rows=1) < golden.NETWORK_LIMIT


def test_bfloat16_gives_the_embedding_of_float32(original: VEConv, shared_data: Path) -> None:
    short = VEConv.__new__(
        VEConv
    )  # the same weights, listening to fewer seconds: bfloat16 is slow on old processors
    short.__dict__ = {**original.__dict__, "config": replace(original.config, seconds=2.58)}
    recordings = real_recordings(shared_data, 1)
    short.precision = "float32"
    exact = short.encode(recordings)
    short.precision = "bfloat16"
    assert cosine(short.encode(recordings), exact).min() >= 0.999


def test_every_layer_has_the_published_shape() -> None:
    with UnfilledWeights():
        network = VEConv().to("meta")
    shapes = {
        1: (64, 254, 598),
        2: (64, 251, 595),
        3: (128, 248, 296),
        4: (128, 245, 146),
        5: (128, 242, 71),
        6: (256, 239, 34),
        7: (512, 236, 31),
        8: (512, 117, 14),
        9: (512, 57, 1),
        10: (4096,),
        11: (4096,),
    }
    values = torch.empty(1, 2, 257, 601, device="meta")
    seen = {}
    for number, layer in enumerate(network.layers.children(), start=1):
        values = layer(values)
        seen[number] = tuple(values.shape[1:])
    assert seen == shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == 148_062_976


@pytest.mark.parametrize("frames", [259, 400, 601, 1000])
def test_clips_from_259_frames_on_fit(frames: int) -> None:
    with UnfilledWeights():
        network = VEConv().to("meta")
    assert network(torch.empty(1, 2, 257, frames, device="meta")).shape == (1, 4096)


def test_the_published_geometry_of_speech2face_fits_too() -> None:
    config = VEConvConfig(centred=False, channels="real_imaginary", final_relu=False, loudness_dbfs=None)
    with UnfilledWeights():
        network = VEConv(config).to("meta")
    assert config.frames == 598
    assert network(torch.empty(1, 2, config.bins, config.frames, device="meta")).shape == (1, 4096)


def test_a_batch_gives_what_each_clip_gives_alone(tiny: VEConv) -> None:
    recordings = [voice(seconds, seed) for seed, seconds in enumerate((0.5, 1.0, 3.0, 0.7, 1.2))]
    together = tiny.encode(recordings)
    alone = torch.cat([tiny.encode([recording]) for recording in recordings])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    assert together.shape == (5, 12) and together.dtype == torch.float32


def test_no_clips_make_no_embeddings(tiny: VEConv) -> None:
    assert tiny.encode([]).shape == (0, 12)


def test_how_loud_a_recording_is_changes_nothing(tiny: VEConv) -> None:
    recording = voice(1.0, 3)
    torch.testing.assert_close(tiny.encode([recording]), tiny.encode([recording * np.float32(0.05)]))


def test_silence_is_encoded_and_not_divided_by(tiny: VEConv) -> None:
    silence: npt.NDArray[np.float32] = np.zeros(16_000, np.float32)
    assert torch.isfinite(tiny.encode([silence])).all()


def test_without_the_last_relu_units_may_be_negative(tiny: VEConv) -> None:
    linear = VEConv(replace(TINY, final_relu=False)).eval()
    linear.load_state_dict(tiny.state_dict())
    recordings = [voice(1.0, seed) for seed in range(4)]
    free = linear.encode(recordings)
    assert (free < 0).any()
    torch.testing.assert_close(free.relu(), tiny.encode(recordings))


def test_its_folder_brings_back_the_network_and_its_recipe(tiny: VEConv, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "tiny", name="tiny")
    loaded = VEConv.from_pretrained(tmp_path / "tiny", "cpu")
    assert loaded.config == TINY
    recordings = [voice(1.0, 5)]
    assert torch.equal(loaded.encode(recordings), tiny.encode(recordings))
    assert loaded.clip_seconds == 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pooled": (True,)}, "same number"),
        ({"fft_samples": 16, "window_samples": 16}, "leave nothing of 9 frequencies"),
        ({"seconds": 0.05}, "leave nothing of 65 frequencies and 6 frames"),
        ({"channels": "phase"}, "channels is one of"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        VEConv(replace(TINY, **changes))  # type: ignore[arg-type]
