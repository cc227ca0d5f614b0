"""The page about settings keeps up with the settings."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from core.config import BUNDLED_WEIGHTS, PREFIX, Settings
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
ROWS = {
    name: (default, text)
    for name, default, text in re.findall(r"^\| `(VOICESKETCH_\w+)` \| (.*?) \| (.*) \|$", PAGE, re.M)
}
OF_THE_COMMAND_LINE = {"VOICESKETCH_DATA", "VOICESKETCH_URL", "VOICESKETCH_TOKEN"}


def test_the_page_lists_every_setting_and_no_other() -> None:
    assert set(ROWS) - OF_THE_COMMAND_LINE == {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_says_of_a_setting_what_the_code_says(name: str) -> None:
    field = Settings.model_fields[name]
    default, text = ROWS[PREFIX + name.upper()]
    assert text.removesuffix(" *Stack.*") == field.description
    assert default == shown(field.default)


def shown(default: object) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default in (None, ""):
        return "empty"
    if default == BUNDLED_WEIGHTS:
        return "`weights/default` of the checkout"
    return f"`{default}`"
