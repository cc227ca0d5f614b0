"""The audio spectrogram transformer as others keep it: a checkpoint, or a folder of Hugging Face.

A folder tells the sizes of its network and the mean and deviation of the features that it was trained with. Most AST
that people have tell sounds apart; such a head makes no embeddings and has to be replaced by one that learns to.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from worker.ml.checkpoints import State, check_file, read_checkpoint, refuse, shown
from worker.ml.errors import ModelError
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoderConfig, current_key
from worker.ml.networks.original_weights import default_config

_BODY = "audio_spectrogram_transformer."
_HEAD_NORM = "classifier.layernorm"
_HEAD = "classifier.dense.weight"
_MODEL_TYPE = "audio-spectrogram-transformer"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_SIZES = {
    "hidden_size": "width",
    "num_hidden_layers": "depth",
    "num_attention_heads": "heads",
    "intermediate_size": "mlp_width",
    "patch_size": "patch_size",
    "time_stride": "stride",
    "max_length": "frames",
    "num_mel_bins": "mel_bands",
}
_LARGEST_SIZE, _DEEPEST = 1 << 16, 256
# What our network leaves at the published values; another value would be another network.
_FIXED = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": True}


def read_ast(path: Path, *, new_head: bool) -> tuple[State, ASTVoiceEncoderConfig]:
    """The weights of an AST voice encoder and its sizes and recipe: of a checkpoint file, or a Hugging Face folder.

    A file has the original project's sizes and recipe. A folder has those of its `config.json`, and the mean and
    deviation of its `preprocessor_config.json` where there is one.

    Args:
        new_head: whatever makes the embeddings in it will be replaced by an untrained head.

    Raises:
        ModelError: as `read_checkpoint`; also for a folder that lacks a file or holds another network, and for a head
            of another length, without `new_head`.
    """
    if path.is_dir():
        config = _read_sizes(path)
        state = read_checkpoint(_weights_in(path))
    else:
        config = default_config("ast")
        state = read_checkpoint(path)
    names = {current_key(name): name for name in state}
    if not any(name.startswith((_BODY, "classifier.")) for name in names):
        # A model without its head is saved without the name of its body.
        state = {f"{_BODY}{name}": tensor for name, tensor in state.items()}
        names = {current_key(name): name for name in state}
    if f"{_BODY}layernorm.weight" not in names:
        refuse(f"{path} is no audio spectrogram transformer: the tensor {_BODY}layernorm.weight is missing.")
    if not new_head:
        _check_head(path, state, names, config.embedding_length)
    elif f"{_HEAD_NORM}.weight" not in names:
        state |= {
            f"{_HEAD_NORM}.weight": torch.ones(config.width),
            f"{_HEAD_NORM}.bias": torch.zeros(config.width),
        }
    return state, config


def _check_head(path: Path, state: State, names: dict[str, str], length: int) -> None:
    if not any(name.startswith("classifier.") for name in names):
        refuse(
            f"{path} has no head, so it makes no embeddings. Import it with --new-head to put an untrained one on, "
            "then train it."
        )
    if _HEAD in names and (outputs := len(state[names[_HEAD]])) != length:
        refuse(
            f"The head in {path} tells {outputs:,} classes apart and makes no embeddings of {length:,} numbers. "
            "Import it with --new-head to put an untrained one in its place, then train it."
        )


def _read_sizes(folder: Path) -> ASTVoiceEncoderConfig:
    values = _read_object(folder / "config.json")
    if values.get("model_type") != _MODEL_TYPE:
        refuse(f"{folder} holds a model of type {shown(values.get('model_type'))}, not {_MODEL_TYPE!r}.")
    for name, fixed in _FIXED.items():
        if values.get(name, fixed) != fixed:
            refuse(f"{folder} has {name} {shown(values[name])}; only {fixed!r} is known here.")
    if values.get("frequency_stride", 10) != values.get("time_stride", 10):
        refuse(f"{folder} has different strides along time and frequency; they must be the same here.")
    sizes = {ours: values[theirs] for theirs, ours in _SIZES.items() if theirs in values}
    for name, size in sizes.items():
        if type(size) is not int or not 0 < size <= (_DEEPEST if name == "depth" else _LARGEST_SIZE):
            refuse(f"{folder} has {shown(size)} for its {name}, which is no size.")
    try:
        config: ASTVoiceEncoderConfig = replace(default_config("ast"), **sizes)
    except ValueError as failure:
        refuse(f"{folder} has sizes that do not fit into each other: {failure}.")
    return _with_recipe(folder, config)


def _with_recipe(folder: Path, config: ASTVoiceEncoderConfig) -> ASTVoiceEncoderConfig:
    path = folder / "preprocessor_config.json"
    if not path.exists():
        return config
    values = _read_object(path)
    if values.get("do_normalize", True) is not True or values.get("sampling_rate", 16_000) != 16_000:
        refuse(f"{path} asks for features that are not normalised, or of another rate than 16 kHz.")
    recipe = {name: values[name] for name in ("mean", "std") if name in values}
    for name, value in recipe.items():
        if type(value) not in (int, float) or not abs(value) < 1e6 or (name == "std" and value <= 0):
            refuse(f"{path} has {shown(value)} for {name}.")
    return replace(
        config, mean=float(recipe.get("mean", config.mean)), std=float(recipe.get("std", config.std))
    )


def _weights_in(folder: Path) -> Path:
    for name in _WEIGHTS:
        if (folder / name).exists():
            return folder / name
    if any(folder.glob("*.index.json")):
        refuse(f"The weights in {folder} are in several pieces. Save them as one {_WEIGHTS[0]}.")
    return refuse(f"{folder} holds neither {' nor '.join(_WEIGHTS)}. Download the whole folder.")


def _read_object(path: Path) -> dict[str, Any]:
    if not path.exists():
        refuse(f"{path.parent} holds no {path.name}: it is no Hugging Face model folder.")
    check_file(path)
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is not valid JSON. Download the folder again."
        ) from failure
    if not isinstance(values, dict):
        refuse(f"{path} is not a JSON object. Download the folder again.")
    return dict(values)
