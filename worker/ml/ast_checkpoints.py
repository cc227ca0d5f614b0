"""The audio spectrogram transformer as others keep it: three ways to name its weights, and folders of Hugging Face.

The names of layers changed between versions of `transformers`, whose saved files keep the old ones; the original
speech-to-face project put its head into a container, which added a level to two names. All of them become the names
that `transformers` uses today, with the project's own for the head.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch

from worker.ml.checkpoints import State, check_file, read_checkpoint, refuse

EMBEDDING_LENGTH = 4096
HEAD = "classifier.0.dense"
_BODY = "audio_spectrogram_transformer."
_MODEL_TYPE = "audio-spectrogram-transformer"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_HEAD_STD = 0.02

# In this order: `output.dense` ends two of the old names.
_RENAMED = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^(?=(?:embeddings|encoder|layers|layernorm)\.)", _BODY),
        (r"^(audio_spectrogram_transformer)\.encoder\.layer\.", r"\1.layers."),
        (r"\.attention\.attention\.query\.", ".attention.q_proj."),
        (r"\.attention\.attention\.key\.", ".attention.k_proj."),
        (r"\.attention\.attention\.value\.", ".attention.v_proj."),
        (r"\.attention\.output\.dense\.", ".attention.o_proj."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"(\.layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
        (r"^classifier\.(?=layernorm\.|dense\.)", "classifier.0."),
    )
)


def read_ast(path: Path) -> tuple[State, dict[str, Any]]:
    """The weights of an AST voice encoder under one set of names: a checkpoint file, or a Hugging Face folder.

    Returns:
        The weights, and what the folder's `config.json` says; nothing for a file.

    Raises:
        ModelError: as `read_checkpoint`; also for a folder that lacks a file or holds another network.
    """
    if not path.is_dir():
        return _renamed(path, read_checkpoint(path)), {}
    config = _read_config(path)
    for name in _WEIGHTS:
        if (path / name).exists():
            return _renamed(path, read_checkpoint(path / name)), config
    if list(path.glob("*.index.json")):
        refuse(f"The weights in {path} are in several pieces. Save them as one model.safetensors.")
    return refuse(f"{path} holds neither {' nor '.join(_WEIGHTS)}. Download the whole folder.")


def fit_head(path: Path, state: State, *, new_head: bool) -> State:
    """Makes sure that the head makes embeddings, or puts one that is still to be trained in its place.

    A new head has normally distributed weights of standard deviation 0.02, always the same ones, and no bias.

    Raises:
        ModelError: `checkpoint_mismatch` for a head that makes something else, without `new_head`.
    """
    weight = state.get(f"{HEAD}.weight")
    if not new_head:
        if weight is None and not any(name.startswith("classifier.") for name in state):
            refuse(
                f"{path} has no head: it cannot make embeddings of {EMBEDDING_LENGTH:,} numbers before it is trained "
                "to. Import it with --new-head, then train it."
            )
        if weight is not None and weight.ndim == 2 and weight.shape[0] != EMBEDDING_LENGTH:
            refuse(
                f"The head in {path} tells {weight.shape[0]:,} classes apart and makes no embeddings of "
                f"{EMBEDDING_LENGTH:,} numbers. Import it with --new-head to put an untrained one in its place, "
                "then train it."
            )
        return state
    norm = state.get(f"{_BODY}layernorm.weight")
    if norm is None or norm.ndim != 1:
        refuse(f"{path} lacks {_BODY}layernorm.weight: it is no audio spectrogram transformer.")
    width = norm.shape[0]
    noise = torch.Generator().manual_seed(0)
    fresh = {
        "classifier.0.layernorm.weight": torch.ones(width),
        "classifier.0.layernorm.bias": torch.zeros(width),
    }
    return {
        **fresh,
        **state,
        f"{HEAD}.weight": _HEAD_STD * torch.randn(EMBEDDING_LENGTH, width, generator=noise),
        f"{HEAD}.bias": torch.zeros(EMBEDDING_LENGTH),
    }


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.exists():
        refuse(f"{folder} holds no config.json: it is no Hugging Face model folder.")
    check_file(path)
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        refuse(f"{path} is not valid JSON. Download the folder again.")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != _MODEL_TYPE:
        refuse(f"{folder} holds a model of type {kind!r:.60}, not {_MODEL_TYPE!r}.")
    assert isinstance(config, dict)
    return config


def _renamed(path: Path, state: State) -> State:
    renamed: State = {}
    for name, tensor in state.items():
        for pattern, replacement in _RENAMED:
            name = pattern.sub(replacement, name)
        if name in renamed:
            refuse(f"{path} holds {name!r:.100} under two names.")
        renamed[name] = tensor
    return renamed
