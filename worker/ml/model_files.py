"""A model on disk: a folder with `config.json`, `model.safetensors` and a card for people, `README.md`.

The configuration carries every size the networks need and the SHA-256 of the weights, so a folder is complete in
itself and a half-copied or mixed-up one is refused before anything is drawn. Safetensors holds numbers and nothing
that could run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from worker.ml.errors import ModelError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
KIND = "speech_to_face"
MODELS_FOLDER = Path(__file__).resolve().parents[2] / "weights"


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` says.

    Attributes:
        name, revision: together the version, `name@revision`.
        clip_seconds: how much of a recording the model listens to, after pauses are shortened.
        voice_encoder, face_generator: the arguments of the networks of these names.
        weights_sha256: of the weights file; empty until they are saved.
        kind: what sort of model this is.
    """

    name: str
    revision: int
    clip_seconds: float
    voice_encoder: dict[str, int]
    face_generator: dict[str, Any]
    weights_sha256: str = ""
    kind: str = field(default=KIND)

    @property
    def version(self) -> str:
        """Name and revision, as shown to people and written into pictures."""
        return f"{self.name}@{self.revision}"


def find_model(name_or_folder: str) -> Path:
    """The folder of a model given as a folder, as `name` or as `name@revision` of one that ships with us."""
    folder = Path(name_or_folder)
    if (folder / CONFIG_FILE).is_file():
        return folder
    name, _, revision = name_or_folder.partition("@")
    shipped = MODELS_FOLDER / name
    plain_name = name not in ("", ".", "..") and os.sep not in name
    if plain_name and (shipped / CONFIG_FILE).is_file():
        if revision and read_config(shipped).version != name_or_folder:
            raise ModelError(
                "model_not_found",
                f"There is no model {name_or_folder}; here is {read_config(shipped).version}.",
            )
        return shipped
    known = sorted(path.parent.name for path in MODELS_FOLDER.glob(f"*/{CONFIG_FILE}"))
    raise ModelError(
        "model_not_found",
        f"There is no model {name_or_folder!r}. Give a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, or one of: "
        f"{', '.join(known) or 'none shipped'}.",
    )


def read_config(folder: Path) -> ModelConfig:
    """Read and check `config.json`."""
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise ModelError(
            "model_not_found", f"There is no {CONFIG_FILE} in {folder}. Is this a model folder?"
        ) from failure
    except ValueError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is not valid JSON. Copy the model folder again."
        ) from failure
    try:
        config = ModelConfig(**values)
    except TypeError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} does not describe a model of ours: {failure}."
        ) from failure
    if config.kind != KIND:
        raise ModelError("checkpoint_mismatch", f"{path} describes a {config.kind!r}, not a {KIND!r} model.")
    return config


def read_weights(folder: Path, config: ModelConfig) -> dict[str, torch.Tensor]:
    """Read the weights, refuse any that the configuration does not vouch for, and widen them to float32."""
    path = folder / WEIGHTS_FILE
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise ModelError(
            "model_not_found", f"There is no {WEIGHTS_FILE} in {folder}. Copy the model folder again."
        ) from failure
    found = hashlib.sha256(content).hexdigest()
    if found != config.weights_sha256:
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} has SHA-256 {found[:12]}…, but {CONFIG_FILE} expects {config.weights_sha256[:12] or 'none'}…. "
            "The file is damaged or belongs to another model; copy the whole folder again.",
        )
    try:
        tensors = {name: tensor.float() for name, tensor in load_tensors(content).items()}
    except SafetensorError as failure:
        raise ModelError(
            "checkpoint_mismatch", f"{path} is not a safetensors file. Copy the model again."
        ) from failure
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ModelError(
            "checkpoint_mismatch",
            f"{path} holds values that are not numbers, in {broken[0]}. Train it again.",
        )
    return tensors


def write_model(folder: Path, config: ModelConfig, tensors: Mapping[str, torch.Tensor]) -> ModelConfig:
    """Save a model; the configuration comes last, so that an interrupted save is never mistaken for a model.

    The directions of the face generator are kept in half precision: they make up most of the file, and the rounding
    is a hundredth of a grey level.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        name: (
            tensor.detach().cpu().half() if name.endswith("_directions") else tensor.detach().cpu()
        ).contiguous()
        for name, tensor in sorted(tensors.items())
    }
    content = save_tensors(kept)
    values = asdict(config) | {"weights_sha256": hashlib.sha256(content).hexdigest()}
    _replace(folder / WEIGHTS_FILE, content)
    _replace(folder / CONFIG_FILE, (json.dumps(values, indent=2) + "\n").encode())
    return ModelConfig(**values)


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
