"""The stack as a process of its own: `python -m core.stack --data DIR [--port N]`, for `running_stack`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from core.errors import VoicesketchError
from core.stack.supervisor import run_stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m core.stack")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int)
    chosen = parser.parse_args()
    try:
        run_stack(chosen.data, chosen.port, os.environ, _say)
    except VoicesketchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
