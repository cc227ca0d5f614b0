"""What tests of networks share."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import golden


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """The original implementation's answers, which lie beside the repository and are no part of it."""
    if not golden.FOLDER.is_dir():
        pytest.skip("the originals' answers are not beside this checkout (../shared/reference/golden)")
    return golden.FOLDER
