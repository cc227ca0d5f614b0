"""The process that opens strangers' weight files: started by `worker/import_weights.py`, and expected to die at times.

It gets a request as its only argument, limits itself, reads, checks, converts, writes a model folder and answers with
one line of JSON on standard output: `{"made": …}` or `{"refused": "one sentence"}`. Lines before that are steps.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.ml.checkpoints import State

CPU_SECONDS = 900  # a file of 2 GB takes half a minute
SPARE_MEMORY_BYTES = 4 * 2**30  # a network, its state dict and a copy of it, beside the file itself
OUTPUT_BYTES = 4 * 2**30
_LONGEST_SENTENCE = 1000
# The number of a file that is larger than all that may be read is no reason for a larger limit.
_LARGEST_SOURCE_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Request:
    """What to make of what.

    Attributes:
        source: a checkpoint, a Keras file, or a Hugging Face folder.
        kind: the network that is expected in it; `vggface` is either variant of a Keras file.
        folder: where the model goes; does not exist yet. Chosen by the parent.
        name: of the model; empty for the kind's own.
        new_head: put an untrained head on an AST.
        keras_only: take nothing but a Keras file.
        original_recipe: prepare pictures for VGG-Face as the original project did, and not as its weights want it.
        space: what the embeddings mean, where it is not what the original project used.
    """

    source: str
    kind: str
    folder: str = ""
    name: str = ""
    new_head: bool = False
    keras_only: bool = False
    original_recipe: bool = False
    space: str = ""


def main() -> int:
    tell = _private_output()
    request = Request(**json.loads(sys.argv[1]))
    _limit()
    # Only now: nothing of a library runs before the limits hold.
    from safetensors import SafetensorError

    from worker.ml.errors import ModelError

    try:
        _limit_memory(Path(request.source))
        tell({"made": make_model(request, tell)})
    except ModelError as error:
        tell({"refused": _one_line(error.message)})
    except MemoryError:
        tell(
            {
                "refused": f"{request.source} needs more memory than any of our networks would. It was given up."
            }
        )
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        tell({"refused": f"The model could not be read or written: {reason}."})
    return 0


def make_model(request: Request, tell: Any = lambda line: None) -> dict[str, Any]:
    """Reads, converts and writes a model folder.

    Returns:
        `kind`, `name` and `parameters`.

    Raises:
        ModelError: with one sentence on what is wrong with the source.
    """
    from dataclasses import replace

    import torch

    from worker.ml.networks.original_weights import default_config, network_from_original

    source = Path(request.source)
    tell({"step": f"reading {source}"})
    kind, state, config = _read(source, request)
    if config is None:
        config = default_config(kind, compat="original" if request.original_recipe else None)
    if request.space:
        config = replace(config, embedding_space=request.space)
    tell({"step": f"checking {len(state)} tensors"})
    torch.manual_seed(0)  # a new head is the same each time, and so is the checksum of its network
    network = network_from_original(kind, state, config=config, fresh_head=request.new_head)
    del state
    parameters = sum(parameter.numel() for parameter in network.parameters())
    tell({"step": f"writing {parameters:,} parameters"})
    name = request.name or kind
    network.save_pretrained(Path(request.folder), name=name, revision=1)
    return {"kind": kind, "name": name, "parameters": parameters}


def _read(source: Path, request: Request) -> tuple[str, State, Any]:
    """The kind of network, its weights under the original project's names, and its sizes where the source tells."""
    from worker.ml.checkpoints import Format, format_of, read_checkpoint, refuse

    if request.new_head and request.kind != "ast":
        refuse("Only an AST can get a new head: leave --new-head out.")
    if request.original_recipe and not request.kind.startswith("vggface"):
        refuse("Only VGG-Face has two recipes: leave --original-recipe out.")
    if request.kind == "ast":
        from worker.ml.ast_checkpoints import read_ast

        return "ast", *read_ast(source, new_head=request.new_head)
    if request.keras_only or (request.kind.startswith("vggface") and format_of(source) is Format.HDF5):
        from worker.ml.keras_vgg_face import Variant, read_keras_vgg_face

        variants: dict[str, Variant] = {"vggface_serengil": "serengil", "vggface_rcmalli": "rcmalli"}
        variant, state = read_keras_vgg_face(source, variants.get(request.kind))
        return f"vggface_{variant}", state, None
    return request.kind, read_checkpoint(source), None


def _private_output() -> Any:
    """A way to answer that no library can write into: its `print` goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)

    def tell(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=answers, flush=True)

    return tell


def _one_line(sentence: str) -> str:
    """Names of tensors come from strangers: nothing in them may begin a new line, move a cursor or fill a screen."""
    sentence = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in sentence)
    return sentence if len(sentence) <= _LONGEST_SENTENCE else f"{sentence[:_LONGEST_SENTENCE]}…"


def _limit() -> None:
    _lower(resource.RLIMIT_CPU, CPU_SECONDS)
    _lower(resource.RLIMIT_FSIZE, OUTPUT_BYTES)
    _lower(resource.RLIMIT_CORE, 0)


def _limit_memory(source: Path) -> None:
    """What is mapped now, the libraries of torch above all, and some more."""
    import torch  # noqa: F401 - part of what is mapped now

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # not Linux; the other limits have to do
    files = source.iterdir() if source.is_dir() else [source]
    size = sum(file.stat().st_size for file in files if file.is_file())
    mapped = pages * resource.getpagesize()
    _lower(resource.RLIMIT_AS, mapped + min(size, _LARGEST_SOURCE_BYTES) + SPARE_MEMORY_BYTES)


def _lower(which: int, limit: int) -> None:
    _, hardest = resource.getrlimit(which)
    if hardest != resource.RLIM_INFINITY:
        limit = min(limit, hardest)
    resource.setrlimit(which, (limit, limit))


if __name__ == "__main__":
    sys.exit(main())
