"""Models of this process: fetched once per machine, loaded once per process, kept by version."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
import torch

from core.config import Settings
from core.errors import NotFound, Retryable
from core.keeping.cache_sweep import forget_deleted_models
from core.ledger.database import Database
from core.ledger.tables import ModelVersion
from core.models.registry import fetch_model
from core.store import Store
from worker.kept_models import KeptModels
from worker.ml.device_failures import is_lost_device, is_out_of_memory
from worker.ml.drawing_models import DrawingModel, DrawnFace, draw_faces, load_drawing_model
from worker.ml.errors import ModelError
from worker.ml.full_disk import is_full
from worker.ml.networks.catalogue import load_network
from worker.ml.networks.pretrained import Encoder
from worker.shortage import shortage_told

log = structlog.get_logger()

_SWEEP_SECONDS = 600.0


@dataclass(frozen=True)
class LoadedModel:
    label: str
    network: DrawingModel


class CacheUnusable(Retryable):
    """The files of a model cannot be kept on this machine."""

    code = "cache_unusable"


class Models:
    def __init__(self, settings: Settings, database: Database, store: Store) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        # What a model had on a GPU otherwise stays with this process, for whatever it loads next.
        self._loaded: KeptModels[LoadedModel] = KeptModels(let_go=torch.cuda.empty_cache)
        self._swept_at = -_SWEEP_SECONDS

    def get(self, model_version_id: str) -> LoadedModel:
        """A model that draws.

        Raises:
            NotFound: no such version.
            StorageUnavailable, CacheUnusable: its files cannot be had now.
            ModelError: its files do not make a model that draws.
        """
        self._sweep()
        model = self._loaded.get(model_version_id)
        if model is None:
            label, folder = self._fetch(model_version_id)
            self._loaded.make_room(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
            model = LoadedModel(label, load_drawing_model([folder], self._settings.device))
            self._loaded.keep(model_version_id, model)
            log.info("loaded", model=label)
        return model

    def face_encoder(self, model_version_id: str) -> Encoder:
        """A network that makes embeddings of faces; the caller keeps it for as long as it is needed.

        Raises:
            ModelError: it is something else; and as `get`.
        """
        label, folder = self._fetch(model_version_id)
        network = load_network(folder, self._settings.device)
        if not isinstance(network, Encoder) or network.input != "face":
            raise ModelError(
                "not_a_face_encoder", f"{label} makes no embeddings of faces. Name one that does."
            )
        return network

    def _sweep(self) -> None:
        """Now and then, what was deleted goes from this disk as well."""
        if time.monotonic() - self._swept_at > _SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            try:
                if gone := forget_deleted_models(self._database, self._cache):
                    log.info("no longer kept", models=gone)
            except OSError:
                log.warning("the cache of models cannot be swept", exc_info=True)

    @property
    def _cache(self) -> Path:
        return self._settings.cache_folder.expanduser() / "models"

    def _fetch(self, model_version_id: str) -> tuple[str, Path]:
        with self._database.read() as session:
            version = session.get(ModelVersion, model_version_id)
        if version is None:
            raise NotFound(f"There is no model version {model_version_id}.")
        try:
            return version.label, fetch_model(self._store, version, self._cache)
        except OSError as error:
            # Said as something that passes: another worker has room, or somebody makes some here.
            why = "its disk is full" if is_full(error) else (error.strerror or str(error))
            raise CacheUnusable(
                f"The worker cannot keep {version.label}: {why}. Make room in its cache folder."
            ) from error


@shortage_told()
def draw_all(network: DrawingModel, inputs: list[np.ndarray], seed: int = 0) -> list[DrawnFace | Exception]:
    """Faces of a batch. Out of memory, it is halved; whatever else fails is narrowed down to the input that causes it.

    Returns:
        For each input its face, or what went wrong with it alone.

    Raises:
        NoMemory: the worker has not even enough for one.
        DeviceLost: its GPU failed.
    """
    try:
        return list(draw_faces(network, inputs, seed))
    except (MemoryError, RuntimeError) as error:
        if is_lost_device(error):
            raise
        if is_out_of_memory(error):
            log.warning("out of memory", batch=len(inputs))
            if len(inputs) == 1:
                raise  # inputs are cut to one length, so this one is not to blame
        else:
            log.exception("a batch failed", batch=len(inputs))
            if len(inputs) == 1:
                return [error]
    # Outside the handler: the exception holds on to everything that was computed.
    torch.cuda.empty_cache()
    middle = len(inputs) // 2
    return draw_all(network, inputs[:middle], seed) + draw_all(network, inputs[middle:], seed)
