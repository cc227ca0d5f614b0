"""The variables themselves: whether they make settings, whether one is misspelt, and who can read the secret ones."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.config import PREFIX, Settings, load_settings
from core.doctor.findings import Finding
from core.errors import InvalidSettings

PART = "settings"
# Of the command line, which has its own.
_OF_THE_COMMAND_LINE = {"DATA", "URL", "TOKEN"}
_FILE = "_FILE"


def loaded(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """The settings, where the variables make some."""
    found = misspelt(environ)
    try:
        return load_settings(environ), found
    except InvalidSettings as error:
        return None, [*found, Finding("settings_unusable", PART, error.message, "See docs/configuration.md.")]


def misspelt(environ: Mapping[str, str]) -> list[Finding]:
    """Variables that look like ours, and that nobody reads."""
    known = {name.upper() for name in Settings.model_fields} | _OF_THE_COMMAND_LINE
    found = []
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or name.removesuffix(_FILE) in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        do = (
            f"Did you mean {PREFIX}{near[0]}?"
            if near
            else "Remove it; docs/configuration.md lists all there are."
        )
        found.append(Finding("setting_unknown", PART, f"Nobody reads {variable}.", do, "warning"))
    return found


def secret_files(environ: Mapping[str, str]) -> Iterable[Path]:
    """The files from which settings are read."""
    for variable, path in environ.items():
        name = variable.removeprefix(PREFIX)
        if name != variable and name.endswith(_FILE) and path:
            yield Path(path)


def readable_by_others(files: Iterable[Path]) -> list[Finding]:
    """Which files with secrets other users of this machine can read. A group may, as where containers share one."""
    found = []
    for file in files:
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        if mode & stat.S_IROTH:
            says = f"Every user of this machine can read {file} (mode {mode:04o})."
            found.append(Finding("secret_readable", PART, says, f"chmod 600 {file}", "warning"))
    return found
