"""Both audio features are the originals', for a batch as for one clip, and say nothing about how loud a clip was."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio

from benchmarks import golden
from tests.worker.ml.networks.recordings import real_recordings, voice
from worker.ml.voice_spectrograms import (
    FilterBankRecipe,
    SegmentRecipe,
    SpectrogramRecipe,
    compressed_spectrograms,
    fill_windows,
    filter_banks,
    log_mel,
)


def level_dbfs(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def windows(count: int, recipe: SegmentRecipe) -> torch.Tensor:
    return torch.from_numpy(fill_windows([voice(1 + 1.7 * seed, seed) for seed in range(count)], recipe))


def test_both_features_are_the_originals() -> None:
    if not golden.FOLDER.is_dir():
        pytest.skip("the originals' answers are not beside this checkout (../shared/reference/golden)")
    errors = golden.feature_errors(golden.FOLDER)
    assert set(errors) == {"ve_conv features", "ast features"}
    assert max(errors.values()) < golden.FEATURE_LIMIT


def test_filter_banks_are_those_of_transformers(shared_data: Path) -> None:
    from transformers import ASTFeatureExtractor

    recipe = FilterBankRecipe()
    clips = fill_windows(real_recordings(shared_data, 3), recipe)
    extractor = ASTFeatureExtractor(mean=recipe.mean, std=recipe.std)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own making
        theirs = extractor(list(clips), sampling_rate=16_000, return_tensors="pt")["input_values"]
    ours = filter_banks(torch.from_numpy(clips), recipe)
    assert golden.relative_error(ours, theirs) < golden.FEATURE_LIMIT


def test_mel_bands_are_those_of_kaldi_for_any_sizes() -> None:
    recipe = FilterBankRecipe(mel_bands=40, low_hz=80.0, high_hz=7600.0, window_samples=320, hop_samples=200)
    clip = torch.from_numpy(voice(0.7, 1))[None]
    theirs = torchaudio.compliance.kaldi.fbank(
        clip,
        frame_length=20.0,
        frame_shift=12.5,
        num_mel_bins=40,
        low_freq=80.0,
        high_freq=7600.0,
        window_type="hanning",
    )
    assert golden.relative_error(log_mel(clip, recipe)[0], theirs) < golden.FEATURE_LIMIT


def test_a_batch_gives_what_each_clip_gives_alone() -> None:
    spectrogram, bank = SpectrogramRecipe(), FilterBankRecipe()
    for recipe, features in (
        (spectrogram, lambda clips: compressed_spectrograms(clips, spectrogram)),
        (bank, lambda clips: filter_banks(clips, bank)),
    ):
        clips = windows(3, recipe)
        together = features(clips)
        alone = torch.cat([features(clip[None]) for clip in clips])
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def test_shapes_and_frame_counts_follow_the_recipe() -> None:
    six = SpectrogramRecipe()
    assert compressed_spectrograms(windows(1, six), six).shape == (1, 2, 257, 601)
    assert (six.bins, six.frames) == (257, 601)
    published = SpectrogramRecipe(centred=False, channels="real_imaginary")
    assert compressed_spectrograms(windows(1, published), published).shape == (1, 2, 257, 598)
    bank = FilterBankRecipe()
    assert log_mel(windows(1, bank), bank).shape == (1, 1024, 128)
    short = FilterBankRecipe(seconds=1.0)
    assert filter_banks(windows(1, short), short).shape == (1, 1024, 128)


def test_the_published_geometry_holds_real_and_imaginary_parts() -> None:
    recipe = SpectrogramRecipe(centred=False, channels="real_imaginary", loudness_dbfs=None)
    clips = windows(1, recipe)
    frame = clips[0, 160 * 7 : 160 * 7 + 400].double() * torch.hann_window(400, dtype=torch.float64)
    spectrum = torch.fft.rfft(frame, 512)
    features = compressed_spectrograms(clips, recipe)[0, :, :, 7].double()
    for found, part in zip(features, (spectrum.real, spectrum.imag), strict=True):
        torch.testing.assert_close(found, part.sign() * part.abs() ** 0.3, rtol=1e-5, atol=1e-5)


def test_padding_frames_are_zero_before_normalisation() -> None:
    recipe = FilterBankRecipe(seconds=1.0, mean=-4.2677393, std=4.5689974)
    features = filter_banks(windows(1, recipe), recipe)
    assert features[0, 98:].unique().tolist() == pytest.approx([0.467], abs=1e-3)


def test_the_statistics_are_the_recipes_and_nobody_elses() -> None:
    clips = windows(1, FilterBankRecipe())
    plain = filter_banks(clips, FilterBankRecipe(mean=0.0, std=0.5))
    torch.testing.assert_close(plain, log_mel(clips, FilterBankRecipe()))
    shifted = filter_banks(clips, FilterBankRecipe(mean=-3.0, std=2.0))
    torch.testing.assert_close(shifted, (plain + 3.0) / 4.0)


def test_short_recordings_are_repeated_from_their_start() -> None:
    recipe = SegmentRecipe(seconds=1.0, loudness_dbfs=None)
    short = voice(0.3, 2)
    window = fill_windows([short], recipe)[0]
    assert np.array_equal(window, np.concatenate([short, short, short, short[:1600]]))


def test_the_heard_part_is_brought_to_the_loudness() -> None:
    recipe = SegmentRecipe(seconds=1.0)
    quiet, loud = voice(1.0, 3) * np.float32(0.01), voice(0.4, 4) * np.float32(3)
    for window in fill_windows([quiet, loud[:6400]], recipe):
        assert level_dbfs(window[:6400]) == pytest.approx(-23, abs=2)
    assert level_dbfs(fill_windows([quiet], recipe)[0]) == pytest.approx(-23, abs=1e-3)


def test_what_comes_after_the_heard_part_does_not_change_its_loudness() -> None:
    recipe = SegmentRecipe(seconds=1.0)
    start = voice(1.0, 5)
    shout = np.concatenate([start, 20 * voice(1.0, 6)])
    assert np.array_equal(*fill_windows([start, shout], recipe))


def test_silence_stays_silence() -> None:
    silence = np.zeros(8000, np.float32)
    assert not fill_windows([silence], SegmentRecipe()).any()
    assert torch.isfinite(filter_banks(torch.zeros(1, 164_160), FilterBankRecipe())).all()
    assert torch.isfinite(compressed_spectrograms(torch.zeros(1, 96_000), SpectrogramRecipe())).all()


def test_a_recording_without_samples_is_refused_and_not_repeated_for_ever() -> None:
    with pytest.raises(ValueError, match="without samples"):
        fill_windows([np.zeros(0, np.float32)], SegmentRecipe())


def test_constants_made_while_inferring_serve_training_too() -> None:
    recipe = FilterBankRecipe(seconds=1.0, mel_bands=23)
    with torch.inference_mode():
        filter_banks(torch.zeros(1, 16_000), recipe)
    clip = torch.from_numpy(voice(1.0, 7))[None].requires_grad_()
    filter_banks(clip, recipe).sum().backward()
    assert clip.grad is not None and clip.grad.abs().max() > 0
