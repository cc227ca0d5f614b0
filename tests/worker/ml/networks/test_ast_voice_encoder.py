"""The AST voice encoder answers what the original answered, starts from a small head, and carries its statistics."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import golden
from tests.worker.ml.networks.recordings import cosine, real_recordings, voice
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder, ASTVoiceEncoderConfig
from worker.ml.networks.initialisation import UnfilledWeights

TINY = ASTVoiceEncoderConfig(
    seconds=1.0,
    frames=64,
    mel_bands=32,
    width=16,
    depth=2,
    heads=2,
    mlp_width=32,
    embedding_length=12,
)


@pytest.fixture(scope="module")
def original(golden_folder: Path) -> ASTVoiceEncoder:
    network = golden.made_up_network(golden_folder, "ast")
    assert isinstance(network, ASTVoiceEncoder)
    return network


@pytest.fixture
def tiny() -> ASTVoiceEncoder:
    torch.manual_seed(2)
    return ASTVoiceEncoder(replace(TINY, initial_deviation=1.0)).eval()


def test_it_answers_what_the_original_answered(original: ASTVoiceEncoder, golden_folder: Path) -> None:
    assert golden.network_error(golden_folder, "ast", original, rows=1) < golden.NETWORK_LIMIT
    assert sum(parameter.numel() for parameter in original.parameters()) == 89_338_624
    assert len(original.state_dict()) == 203


def test_bfloat16_gives_the_embedding_of_float32(original: ASTVoiceEncoder, shared_data: Path) -> None:
    # The same weights, listening to a second: bfloat16 is slow on old processors. 12 × 12 patches and 2 tokens.
    with UnfilledWeights():
        short = ASTVoiceEncoder(replace(original.config, seconds=1.3, frames=128)).eval()
    state = original.state_dict()
    positions = "audio_spectrogram_transformer.embeddings.position_embeddings"
    state[positions] = state[positions][:, : 12 * 12 + 2]
    short.load_state_dict(state, assign=True)
    recordings = real_recordings(shared_data, 1)
    short.precision = "float32"
    exact = short.encode(recordings)
    short.precision = "bfloat16"
    assert cosine(short.encode(recordings), exact).min() >= 0.999


def test_a_fresh_head_starts_small() -> None:
    torch.manual_seed(0)
    config = replace(TINY, width=64, embedding_length=4096)
    head = ASTVoiceEncoder(config).classifier.dense
    assert float(head.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert not head.bias.any()


def test_a_batch_gives_what_each_clip_gives_alone(tiny: ASTVoiceEncoder) -> None:
    recordings = [voice(seconds, seed) for seed, seconds in enumerate((0.5, 1.0, 3.0, 0.7, 1.2))]
    together = tiny.encode(recordings)
    alone = torch.cat([tiny.encode([recording]) for recording in recordings])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (5, 12) and together.max() > 0
    assert tiny.encode([]).shape == (0, 12)


def test_without_the_last_relu_units_may_be_negative(tiny: ASTVoiceEncoder) -> None:
    linear = ASTVoiceEncoder(replace(tiny.config, final_relu=False)).eval()
    linear.load_state_dict(tiny.state_dict())
    recordings = [voice(1.0, seed) for seed in range(4)]
    free = linear.encode(recordings)
    assert (free < 0).any()
    torch.testing.assert_close(free.relu(), tiny.encode(recordings))


def test_its_folder_brings_back_the_statistics_of_its_data(tiny: ASTVoiceEncoder, tmp_path: Path) -> None:
    other = ASTVoiceEncoder(replace(tiny.config, mean=-7.25, std=2.5)).eval()
    other.load_state_dict(tiny.state_dict())
    other.save_pretrained(tmp_path / "ast")
    loaded = ASTVoiceEncoder.from_pretrained(tmp_path / "ast", "cpu")
    recordings = [voice(1.0, 5)]
    assert (loaded.config.mean, loaded.config.std) == (-7.25, 2.5)
    assert torch.equal(loaded.encode(recordings), other.encode(recordings))
    assert not torch.allclose(loaded.encode(recordings), tiny.encode(recordings), rtol=1e-2)


def test_transformers_is_imported_only_when_one_is_built() -> None:
    program = (
        "import sys; import worker.ml.networks.ast_voice_encoder, worker.ml.networks.catalogue; "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
