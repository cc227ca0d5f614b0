"""Models of this process: fetched once per machine, loaded once per process, kept by version."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import structlog
import torch

from core.config import Settings
from core.database import Database
from core.errors import NotFound
from core.registry import fetch_model
from core.store import Store
from core.tables import ModelVersion
from worker.ml.speech_to_face import SpeechToFace

log = structlog.get_logger()

_KEPT = 2  # a comparison of two versions goes back and forth between them


@dataclass(frozen=True)
class LoadedModel:
    label: str
    network: SpeechToFace


class Models:
    def __init__(self, settings: Settings, database: Database, store: Store) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()

    def get(self, model_version_id: str) -> LoadedModel:
        """Raises:
        NotFound: no such version.
        StorageUnavailable: its files cannot be had now.
        """
        if model_version_id not in self._loaded:
            with self._database.read() as session:
                version = session.get(ModelVersion, model_version_id)
            if version is None:
                raise NotFound(f"There is no model version {model_version_id}.")
            folder = fetch_model(self._store, version, self._settings.cache_folder.expanduser() / "models")
            network = SpeechToFace.from_pretrained(folder, device=self._settings.device)
            self._loaded[model_version_id] = LoadedModel(version.label, network)
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
            log.info("loaded", model=version.label)
        self._loaded.move_to_end(model_version_id)
        return self._loaded[model_version_id]


def draw_all(network: SpeechToFace, waveforms: list[np.ndarray]) -> list[np.ndarray | Exception]:
    """Faces of a batch. Out of memory, it is halved; whatever else fails is narrowed down to the clip that causes it.

    Returns:
        For each waveform its face, uint8 [height, width, 3], or what went wrong with it alone.
    """
    try:
        return list(network.draw(waveforms))
    except torch.OutOfMemoryError as error:
        log.warning("out of memory", batch=len(waveforms))
        torch.cuda.empty_cache()
        if len(waveforms) == 1:
            return [error]
    except RuntimeError as error:
        log.exception("a batch failed", batch=len(waveforms))
        if len(waveforms) == 1:
            return [error]
    middle = len(waveforms) // 2
    return draw_all(network, waveforms[:middle]) + draw_all(network, waveforms[middle:])
