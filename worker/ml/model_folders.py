"""Folders of models: what is in them, where they are found. Needs no torch, so that a wrong name is told at once.

A model is a folder with `config.json`, `model.safetensors` and a card for people, `README.md`. A pair of an encoder
and a decoder holds two such folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.ml.errors import ModelError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SPEECH_TO_FACE, PAIR = "speech_to_face", "pair"  # kinds of models that draw
ENCODER, DECODER = "encoder", "decoder"  # the folders within a pair's folder
MODELS_FOLDER = Path(__file__).resolve().parents[2] / "weights"


def find_model(name_or_folder: str) -> Path:
    """The folder of a model given as a folder, as `name` or as `name@revision` of one that ships with us."""
    folder = Path(name_or_folder)
    if (folder / CONFIG_FILE).is_file():
        return folder
    name, _, revision = name_or_folder.partition("@")
    shipped = MODELS_FOLDER / name
    plain_name = name not in ("", ".", "..") and os.sep not in name
    if plain_name and (shipped / CONFIG_FILE).is_file():
        values = read_config_values(shipped)
        version = f"{values.get('name')}@{values.get('revision')}"
        if revision and version != name_or_folder:
            raise ModelError("model_not_found", f"There is no model {name_or_folder}; here is {version}.")
        return shipped
    known = sorted(path.parent.name for path in MODELS_FOLDER.glob(f"*/{CONFIG_FILE}"))
    raise ModelError(
        "model_not_found",
        f"There is no model {name_or_folder!r}. Give a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, or one of: "
        f"{', '.join(known) or 'none shipped'}.",
    )


def read_config_values(folder: Path) -> dict[str, Any]:
    """The object in `config.json`.

    Raises:
        ModelError: `model_not_found` when there is none, `checkpoint_mismatch` when it is not a JSON object.
    """
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
    if not isinstance(values, dict):
        raise ModelError("checkpoint_mismatch", f"{path} does not describe a model of ours.")
    return values


def write_config_values(folder: Path, values: Mapping[str, Any]) -> None:
    """Writes `config.json`. It comes last, so that an interrupted save is never mistaken for a model."""
    unfinished = folder / f"{CONFIG_FILE}.part"
    unfinished.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / CONFIG_FILE)
