"""Weights to measure with: `python -m benchmarks.infer_weights FOLDER` writes checkpoints as Speech-to-face left them.

The numbers in them are fresh; how long a network takes does not depend on what it has learned.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder
from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.ve_conv import VEConv, original_key

KINDS = ("ast", "ve_conv", "face_decoder")


def write_checkpoints(folder: Path, kinds: tuple[str, ...] = KINDS) -> None:
    """Writes `KIND.pt` for each of the kinds."""
    for kind in kinds:
        torch.manual_seed(0)
        network = {"ast": ASTVoiceEncoder, "ve_conv": VEConv, "face_decoder": FaceDecoder}[kind]()
        torch.save(
            {original_key(key): value for key, value in network.state_dict().items()}, folder / f"{kind}.pt"
        )


if __name__ == "__main__":
    write_checkpoints(Path(sys.argv[1]), tuple(sys.argv[2:]) or KINDS)
