"""How far our networks and features are from the originals': `python -m benchmarks golden [--folder DIR]`.

The folder holds what the original implementation answered (its README says how its weights were made up, key by key, so
that nobody needs them). It lies beside the repository and is no part of it. Ends with 1 if anything is further off than
its limit.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.original_weights import network_from_original
from worker.ml.networks.pretrained import Network
from worker.ml.networks.vgg_face import VGGFace
from worker.ml.voice_spectrograms import (
    FilterBankRecipe,
    SpectrogramRecipe,
    compressed_spectrograms,
    fill_windows,
    filter_banks,
)

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "reference" / "golden"
NETWORK_LIMIT = 1e-4
FEATURE_LIMIT = 1e-3


@dataclass(frozen=True)
class Original:
    """A network of the original implementation: its name there, the file of its answers, and what it was given.

    Attributes:
        random: `normal` or `uniform` numbers, from a generator with this seed. Both VGG-Face files were made from
            uniform ones.
    """

    name: str
    file: str
    random: str
    seed: int
    shape: tuple[int, ...]


ORIGINALS = {
    "ve_conv": Original("VE_conv", "ve_conv", "normal", 11, (2, 2, 257, 601)),
    "face_decoder": Original("FaceDecoder", "face_decoder", "uniform", 12, (2, 4096)),
    "vggface_serengil": Original("VGGFace_serengil", "vggface_serengil", "uniform", 13, (2, 3, 224, 224)),
    "vggface_rcmalli": Original("VGGFace16_rcmalli", "vggface16_rcmalli", "uniform", 13, (2, 3, 224, 224)),
    "ast": Original("AST", "ast", "normal", 14, (2, 1024, 128)),
}


def made_up_state(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights that the original network called `name` was given; the README of the folder has the rules."""
    shapes = json.loads((folder / "state_dict_keys.json").read_text(encoding="utf-8"))[name]
    return {key: _made_up(key, shape) for key, shape in shapes}


def made_up_network(folder: Path, kind: str) -> Network:
    """Our network of that kind, with those weights."""
    return network_from_original(kind, made_up_state(folder, ORIGINALS[kind].name))


@torch.inference_mode()
def network_error(folder: Path, kind: str, network: Network, rows: int | None = None) -> float:
    """The largest relative error of any of its answers.

    Args:
        rows: how many of the inputs are looked at, from the first on; all without it.
    """
    original = ORIGINALS[kind]
    expected = load_file(folder / f"{original.file}.safetensors")
    draw = torch.randn if original.random == "normal" else torch.rand
    given = draw(original.shape, generator=torch.Generator().manual_seed(original.seed))
    answer = network(given[:rows])
    if isinstance(network, FaceDecoder):
        answers = dict(zip(("landmarks", "image"), answer, strict=True))
    elif isinstance(network, VGGFace):
        answers = {"embedding": answer, "logits": network.class_logits(answer)}
    else:
        answers = {"embedding": answer}
    if answers.keys() != expected.keys():
        raise ValueError(f"{original.file} holds {sorted(expected)} and not {sorted(answers)}")
    return max(relative_error(answers[name], expected[name][:rows]) for name in expected)


def feature_errors(folder: Path) -> dict[str, float]:
    """Of both features, from the waveform of the folder, whose loudness was set before."""
    expected = load_file(folder / "audio_features.safetensors")
    waveform = expected["waveform"].numpy()
    spectrogram, bank = SpectrogramRecipe(loudness_dbfs=None), FilterBankRecipe(loudness_dbfs=None)
    ve_conv = compressed_spectrograms(torch.from_numpy(fill_windows([waveform], spectrogram)), spectrogram)
    ast = filter_banks(torch.from_numpy(fill_windows([waveform], bank)), bank)
    return {
        "ve_conv features": relative_error(ve_conv[0], expected["ve_conv_spectrogram"]),
        "ast features": relative_error(ast, expected["ast_features"]),
    }


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """max|ours - theirs| / max|theirs|."""
    if ours.shape != theirs.shape:
        raise ValueError(f"the answer is {list(ours.shape)} and should be {list(theirs.shape)}")
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _made_up(key: str, shape: list[int]) -> torch.Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(1)
    if key.endswith("running_var"):
        return 1 + 0.1 * numbers.abs()
    if key.endswith("running_mean"):
        return 0.1 * numbers
    if len(shape) > 1:
        return numbers * math.sqrt(2 / math.prod(shape[1:]))
    return 1 + 0.1 * numbers if key.endswith(".weight") else 0.01 * numbers


def _rows(folder: Path) -> Iterator[tuple[str, str, float, float]]:
    """Name, parameters, error and limit of each."""
    for kind in ORIGINALS:
        network = made_up_network(folder, kind)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        yield kind, f"{parameters:,}", network_error(folder, kind, network), NETWORK_LIMIT
    for name, error in feature_errors(folder).items():
        yield name, "-", error, FEATURE_LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description="How far our networks and features are from the originals'.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    if not (folder / "state_dict_keys.json").is_file():
        print(f"The answers of the originals are not in {folder}.", file=sys.stderr)
        return 1
    print(f"{'network':18} {'parameters':>12}  {'max relative error':>18}  {'limit':>6}  ok")
    failed = False
    for name, parameters, error, limit in _rows(folder):
        good = error < limit
        failed |= not good
        print(
            f"{name:18} {parameters:>12}  {error:18.1e}  {limit:6.0e}  {'yes' if good else 'NO'}", flush=True
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
