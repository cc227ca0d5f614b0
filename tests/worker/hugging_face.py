"""A small Hugging Face AST folder, written by `transformers` itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import ASTForAudioClassification

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
FRAMES, BANDS = 64, 32


def write_ast(folder: Path, classes: int = 4096) -> ASTForAudioClassification:
    """As `save_pretrained` does; answers the network that was saved."""
    # Seconds to load, for a few tests only.
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = ASTConfig(**SIZES, max_length=FRAMES, num_mel_bins=BANDS, num_labels=classes)
    network = ASTForAudioClassification(config).eval()
    network.save_pretrained(folder)
    ASTFeatureExtractor(max_length=FRAMES, num_mel_bins=BANDS).save_pretrained(folder)
    return network
