"""A voice's embedding is a matter of its sound alone: not of its level, nor of what else is in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from worker.ml.networks.matching_speech_encoder import (
    LARGEST_SCALE,
    FrontNorm,
    MatchingSpeechEncoder,
    MatchingSpeechEncoderConfig,
    same_level,
    scale_of_scores,
)

TINY = MatchingSpeechEncoderConfig(
    embedding_length=12, filters=6, filter_length=33, filter_stride=16, channels=(8, 10), clip_seconds=1.5
)


def encoder(config: MatchingSpeechEncoderConfig = TINY, seed: int = 0) -> MatchingSpeechEncoder:
    torch.manual_seed(seed)
    return MatchingSpeechEncoder(config).eval()


def voice(seed: int, seconds: float) -> npt.NDArray[np.float32]:
    """Noise of its own colour, float32 `[T]`."""
    noise = np.random.default_rng(seed).normal(0, 0.3, round(seconds * 16_000))
    return np.convolve(noise, np.hanning(3 + 4 * (seed % 7)), mode="same").astype(np.float32) / 4


def test_every_layer_has_the_shape_of_the_specification() -> None:
    network = encoder(MatchingSpeechEncoderConfig())
    shapes: list[tuple[int, ...]] = []

    def remember(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        shapes.append(tuple(output.shape[1:]))

    for module in [network.front, *network.blocks, network.head]:
        module.register_forward_hook(remember)
    with torch.no_grad():
        answer = network(torch.randn(1, 96_000))
    # Each block before its average over four frames.
    assert shapes == [(80, 12_000), (128, 12_000), (256, 3_000), (512, 750), (512, 187), (128,)]
    assert answer.shape == (1, 128)


def test_the_default_size_has_2_6_million_parameters() -> None:
    network = encoder(MatchingSpeechEncoderConfig())
    blocks = 0
    for inside, outside in ((80, 128), (128, 256), (256, 512), (512, 512)):
        hidden = min(inside, outside)
        blocks += 3 * inside * hidden + hidden + 3 * hidden * outside + outside
        blocks += inside * outside if inside != outside else 0
    expected = 2 * 80 + blocks + 512 * 128 + 128 + 1  # the last one is the scale of scores
    assert sum(one.numel() for one in network.parameters()) == expected == 2_602_353


@pytest.mark.parametrize("samples", [16_000, 16_001, 50_000, 96_000, 160_003])
def test_clips_of_any_length_from_one_second_up_are_embedded(samples: int) -> None:
    with torch.no_grad():
        answer = encoder(MatchingSpeechEncoderConfig(channels=(16, 16, 16, 16)))(torch.randn(2, samples))
    assert answer.shape == (2, 128)
    assert torch.isfinite(answer).all()


def test_a_clip_without_a_single_frame_is_refused() -> None:
    network = encoder()
    assert network.shortest_samples == 16 * 15 + 1
    network(torch.randn(1, network.shortest_samples))
    with pytest.raises(ValueError, match="at least 241 samples"):
        network(torch.randn(1, network.shortest_samples - 1))


def test_level_and_offset_make_no_difference() -> None:
    network, clip = encoder(), torch.from_numpy(voice(1, 1.5))[None]
    with torch.no_grad():
        torch.testing.assert_close(network(0.01 * clip + 0.3), network(clip), atol=2e-5, rtol=1e-4)


def test_every_clip_is_brought_to_one_level_and_silence_stays_silent() -> None:
    clips = torch.stack([torch.from_numpy(voice(2, 1.0)) * 3 + 0.2, torch.full((16_000,), 0.25)])
    level = same_level(clips)
    assert float(level[0].mean().abs()) < 1e-6
    assert float(level[0].square().mean().sqrt()) == pytest.approx(0.05, rel=1e-4)
    assert float(level[1].abs().max()) == 0.0


def test_silence_has_an_embedding_and_it_is_a_number() -> None:
    assert torch.isfinite(encoder().encode([np.zeros(16_000, np.float32)])).all()


@pytest.mark.parametrize("repeat", [True, False])
def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(repeat: bool) -> None:
    network = encoder(MatchingSpeechEncoderConfig(**{**vars(TINY), "repeat_short": repeat}))
    clips = [voice(seed, seconds) for seed, seconds in enumerate([0.6, 1.0, 2.4, 1.0, 1.3, 0.6, 1.7])]
    together = network.encode(clips)
    alone = torch.cat([network.encode([clip]) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)
    backwards = network.encode(clips[::-1]).flip(0)
    torch.testing.assert_close(together, backwards, atol=1e-6, rtol=1e-5)
    assert torch.cdist(together, together).fill_diagonal_(9).min() > 1e-4  # and they do differ


def test_a_short_clip_is_repeated_and_a_long_one_cut() -> None:
    network, clip = encoder(), voice(3, 0.7)
    filled = np.tile(clip, 3)[: round(1.5 * 16_000)]
    torch.testing.assert_close(network.encode([clip]), network.encode([filled]))
    longer = np.concatenate([filled, voice(4, 2.0)])
    torch.testing.assert_close(network.encode([longer]), network.encode([filled]))
    assert network.clip_seconds == 1.5


def test_embeddings_have_unit_length_and_a_learned_scale_unless_raw_products_are_wanted() -> None:
    unit = encoder()
    assert torch.allclose(unit.encode([voice(5, 1.0)]).norm(dim=1), torch.ones(1))
    assert unit.scale.item() == pytest.approx(1 / 0.07)
    unit.scale.backward()
    assert unit.log_scale.grad is not None and float(unit.log_scale.grad) == pytest.approx(1 / 0.07)
    raw = encoder(MatchingSpeechEncoderConfig(**{**vars(TINY), "unit_norm": False}))
    assert abs(float(raw.encode([voice(5, 1.0)]).norm()) - 1) > 1e-2
    assert float(raw.scale) == 1.0
    assert "log_scale" not in raw.state_dict()


def test_a_scale_that_came_to_its_limit_can_be_brought_down_again() -> None:
    log_scale = torch.tensor(5.0, requires_grad=True)  # exp(5) is 148
    optimiser = torch.optim.Adam([log_scale], 0.05)
    for wanted in (1000.0, 20.0):
        for _ in range(100):
            scale = scale_of_scores(log_scale)
            assert scale.item() <= LARGEST_SCALE
            optimiser.zero_grad()
            (scale - wanted).square().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        assert scale_of_scores(log_scale).item() == pytest.approx(min(wanted, LARGEST_SCALE), rel=0.05)
    assert log_scale.item() < 5, "what would only raise it further was let pass nowhere"


def test_a_saved_encoder_comes_back_as_it_was(tmp_path: Path) -> None:
    network, clips = encoder(), [voice(6, 1.0), voice(7, 2.0)]
    network.save_pretrained(tmp_path, name="mine", revision=2)
    again = MatchingSpeechEncoder.from_pretrained(tmp_path, "cpu")
    assert again.config == TINY
    assert again.identity.version == "mine@2"
    assert torch.equal(again.encode(clips), network.encode(clips))


def test_bfloat16_changes_no_embedding_by_more_than_a_thousandth() -> None:
    network, clips = encoder(MatchingSpeechEncoderConfig(), seed=1), [voice(seed, 2.0) for seed in range(3)]
    network.precision = "float32"
    exact = network.encode(clips)
    network.precision = "bfloat16"
    rounded = network.encode(clips)
    assert not torch.equal(exact, rounded)
    assert torch.cosine_similarity(exact, rounded).min() >= 0.999


def test_gradients_reach_every_parameter() -> None:
    network = encoder()
    network(torch.from_numpy(np.stack([voice(8, 1.0), voice(9, 1.0)]))).square().sum(0).max().backward()
    missing = [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()]
    assert missing == ["log_scale"]  # belongs to the loss


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.zeros((2, 16_000), np.float32)])
def test_what_is_no_waveform_is_refused(waveform: npt.NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="shape"):
        encoder().encode([waveform])


def test_how_loud_a_band_is_beside_the_others_is_kept_where_a_clip_is_normalised_as_a_whole() -> None:
    """Steady noise of two colours: without the levels of its bands little is left to tell them apart."""
    dark, bright = (voice(seed, 1.5) for seed in (6, 0))

    def distance(norm: FrontNorm) -> float:
        network = encoder(
            MatchingSpeechEncoderConfig(**{**vars(TINY), "front_norm": norm, "unit_norm": False})
        )
        one, other = network.encode([dark, bright])
        return float((one - other).norm() / one.norm())

    assert distance("clip") > 3 * distance("instance")


def test_an_unknown_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="no front_norm 'batch'"):
        MatchingSpeechEncoder(MatchingSpeechEncoderConfig(front_norm="batch"))  # type: ignore[arg-type]
