"""`python -m worker.import_weights`: makes a model folder of ours from somebody else's weights.

The file is opened by a child (`worker/weight_reader.py`) that has limits and none of our passwords. Whatever
becomes of it, a folder appears whole or not at all, and what is wrong with the file is one sentence and exit code 2.
Standard output gets one line of JSON about the model, standard error the steps.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from worker.weight_reader import Request

ALL_DONE, WRONG_USAGE, INTERRUPTED = 0, 2, 130
KINDS = ("ve_conv", "ast", "face_decoder", "vggface_serengil", "vggface_rcmalli")
ANY_VGGFACE = "vggface"
# Enough for Python and torch to start; passwords and tokens are in variables with other names.
_ENVIRONMENT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "PATH",
    "PYTHONPATH",
    "TMPDIR",
)


class Refused(Exception):
    """The weights cannot be used; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        made = import_weights(
            options.out,
            Request(
                source=str(options.source),
                kind=options.kind,
                name=options.name,
                new_head=options.new_head,
                keras_only=options.keras,
                original_recipe=options.original_recipe,
                space=options.space,
            ),
        )
    except Refused as error:
        print(error, file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    print(json.dumps(made))  # noqa: T201
    return ALL_DONE


def import_weights(out: Path, request: Request) -> dict[str, Any]:
    """Makes the folder `out`, which must not exist or be empty.

    Returns:
        `kind`, `name` and `parameters` of the model, and the `folder`.

    Raises:
        Refused: with one sentence. Nothing is left behind then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} is there already. Choose a folder that is new or empty.")
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        # Beside its final place, so that it gets there by a rename, which happens wholly or not at all.
        making = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=".importing-"))
    except OSError as error:
        raise Refused(f"{out} cannot be made: {(error.strerror or str(error)).lower()}.") from error
    try:
        made = _ask_child(replace(request, folder=str(making / "model")))
        (making / "model").rename(out)
    except OSError as error:
        raise Refused(f"{out} cannot be made: {(error.strerror or str(error)).lower()}.") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return {**made, "folder": str(out)}


def _ask_child(request: Request) -> dict[str, Any]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # Without -P, a file `torch.py` beside the weights would be taken for torch.
    program = [
        sys.executable,
        "-P",
        "-W",
        "ignore",
        "-m",
        "worker.weight_reader",
        json.dumps(asdict(request)),
    ]
    child = subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**environment, "HF_HUB_OFFLINE": "1"},
        encoding="utf-8",
        errors="replace",
    )
    answer: dict[str, Any] = {}
    try:
        assert child.stdout is not None
        with child.stdout:
            for line in child.stdout:
                answer = json.loads(line)
                if "step" in answer:
                    print(answer["step"], file=sys.stderr, flush=True)  # noqa: T201
        code = child.wait()
    finally:
        child.kill()
        child.wait()
    if "made" in answer:
        return dict(answer["made"])
    if "refused" in answer:
        raise Refused(answer["refused"])
    raise Refused(_obituary(request.source, code))


def _obituary(source: str, code: int) -> str:
    if code == -signal.SIGXCPU:
        return f"{source} took more time than any of our networks would. It was given up."
    if code == -signal.SIGKILL:
        return (
            f"Reading {source} was killed from outside, most likely because this machine ran out of memory."
        )
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{source} broke the program that reads it ({how}). It is damaged, or not meant well."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m worker.import_weights",
        description="Make a model folder from somebody else's weights.",
    )
    parser.add_argument("source", type=Path, help="a checkpoint, a Keras .h5 file, or a Hugging Face folder")
    parser.add_argument("--as", dest="kind", choices=(*KINDS, ANY_VGGFACE), required=True, metavar="KIND")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the model goes")
    parser.add_argument("--name", default="", help="of the model; else the kind's")
    parser.add_argument("--new-head", action="store_true", help="put an untrained head on an AST")
    parser.add_argument(
        "--original-recipe", action="store_true", help="feed VGG-Face as the original project did"
    )
    parser.add_argument(
        "--space", default="", help="what the embeddings mean, such as vgg_face_rcmalli_original"
    )
    parser.add_argument("--keras", action="store_true", help="take nothing but a Keras file")
    return parser


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main())
