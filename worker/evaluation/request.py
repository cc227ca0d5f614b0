"""What a program is asked: `request.json` in its run folder, checked before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from worker.ml.dataset_reader import PreparedDataset
from worker.ml.drawing_models import find_drawing_model
from worker.ml.errors import MediaError

Spec = TypeVar("Spec", bound=BaseModel)
REQUEST = "request.json"


class InvalidRequest(MediaError):
    """What is asked makes no sense, or cannot be done with this model and this dataset.

    Codes: `invalid_recipe`.
    """


@dataclass(frozen=True)
class Request:
    """The part of a request that all programs share.

    Attributes:
        dataset: folder of a prepared dataset.
        dataset_sha256: the version that it must be; None for any.
        models: folders by the references of the spec.
        measures: folder of weights for measures (docs/metrics.md), where it is not that of the installation.
    """

    dataset: Path
    dataset_sha256: str | None
    models: Mapping[str, Path]
    device: str
    measures: Path | None

    def open_dataset(self) -> PreparedDataset:
        """Raises `DatasetError`."""
        return PreparedDataset.open(self.dataset, sha256=self.dataset_sha256)

    def folders(self, reference: str) -> tuple[Path, ...]:
        """The folders of a reference: one, or two for an encoder and a decoder that are put together.

        Raises:
            ModelError: `model_not_found`.
        """
        if reference in self.models:
            return (self.models[reference],)
        parts = reference.split("+")
        if len(parts) == 2 and all(part in self.models for part in parts):
            return tuple(self.models[part] for part in parts)
        return find_drawing_model(reference)


def read_request(run: Path, kind: type[Spec]) -> tuple[Spec, Request]:
    """The spec and the rest of `request.json`.

    Raises:
        InvalidRequest: it is not there, is not JSON, or is of another kind.
    """
    path = run / REQUEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        spec = kind.model_validate(values["spec"])
        request = Request(
            Path(values["dataset"]),
            values.get("dataset_sha256") or None,
            {name: Path(folder) for name, folder in values.get("models", {}).items()},
            str(values.get("device", "auto")),
            Path(values["measures"]) if values.get("measures") else None,
        )
    except OSError as failure:
        raise InvalidRequest("invalid_recipe", f"{path} cannot be read: {failure.strerror}.") from failure
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest("invalid_recipe", f"{path}: {where}: {first['msg']}.") from failure
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise InvalidRequest("invalid_recipe", f"{path} does not hold a request: {failure!r}.") from failure
    return spec, request
