"""A setting may lie in a file, as secrets of containers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_settings
from core.errors import InvalidSettings

NEEDED = {"VOICESKETCH_DATABASE_URL": "sqlite:///x", "VOICESKETCH_BROKER_URL": "redis://x"}


def test_a_file_stands_for_its_setting(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("of the service\n")
    settings = load_settings({**NEEDED, "VOICESKETCH_OIDC_CLIENT_SECRET_FILE": str(file)})
    assert settings.oidc_client_secret is not None
    assert settings.oidc_client_secret.get_secret_value() == "of the service"


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidSettings, match="OIDC_CLIENT_SECRET_FILE names /nowhere/secret"):
        load_settings({**NEEDED, "VOICESKETCH_OIDC_CLIENT_SECRET_FILE": "/nowhere/secret"})


def test_a_setting_and_its_file_do_not_go_together(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("redis://y")
    with pytest.raises(InvalidSettings, match="both set"):
        load_settings({**NEEDED, "VOICESKETCH_BROKER_URL_FILE": str(file)})
