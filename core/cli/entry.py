"""Where `voicesketch` begins: `core.cli.main`, and Ctrl-C heard in good order while that is still being loaded."""

from __future__ import annotations

import os

INTERRUPTED = 130  # as `core.cli.endings` has it, which is among what is loaded


def main() -> None:
    try:
        from core.cli.main import main as run

        run()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
