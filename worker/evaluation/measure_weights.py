"""Networks that some measures look through, and whose weights are not ours to ship.

Whoever has the published files brings them in once: `python -m worker.evaluation.measure_weights lpips --alexnet
alexnet-owt-7be5be79.pth --heads alex.pth`, and likewise `inception` and `vggface2`; docs/metrics.md says which files.
They are read as numbers alone, become a folder like that of a model, and measures that need them are then measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from worker.ml.checkpoints import read_checkpoint
from worker.ml.errors import MediaError, ModelError
from worker.ml.metrics.face_classifier import FaceClassifier
from worker.ml.metrics.inception import Inception
from worker.ml.metrics.lpips import Lpips, published_names
from worker.ml.model_folders import MODELS_FOLDER, read_config_values, write_config_values
from worker.ml.weight_files import read_tensors, write_tensors

Name = Literal["lpips", "inception", "vggface2"]
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "lpips": Lpips,
    "inception": Inception,
    "vggface2": FaceClassifier,
}
FOLDER = MODELS_FOLDER / "measures"
KIND = "measure"
_Module = TypeVar("_Module", bound=nn.Module)


def load_measure(network: type[_Module], name: Name, folder: Path | None = None) -> _Module | None:
    """The network of a measure with its weights, or None where nobody brought them.

    Raises:
        ModelError: `checkpoint_mismatch`: the weights are damaged or others.
    """
    where = (folder or FOLDER) / name
    if not (where / "config.json").is_file():
        return None
    tensors = read_tensors(where, str(read_config_values(where).get("weights_sha256")))
    return _filled(network(), tensors, where)


def bring_in(name: Name, tensors: Mapping[str, torch.Tensor], folder: Path | None = None) -> Path:
    """Keep the weights of a measure; answers their folder.

    Args:
        tensors: by our names. What the network does not have, such as heads of the original, is left out.

    Raises:
        ModelError: `checkpoint_mismatch`: they are not those of this network.
    """
    where = (folder or FOLDER) / name
    network = _filled(NETWORKS[name](), tensors, where)
    sha256 = write_tensors(where, network.state_dict())
    write_config_values(where, {"kind": KIND, "name": name, "weights_sha256": sha256})
    return where


def _filled(network: _Module, tensors: Mapping[str, torch.Tensor], where: Path) -> _Module:
    own = network.state_dict()
    # Counters of batches are in some published files and not in others, and nothing uses them here.
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    missing = sorted(wanted - tensors.keys())
    if missing:
        raise ModelError(
            "checkpoint_mismatch",
            f"The weights for {where.name} lack {missing[0]}: they are of another network.",
        )
    try:
        network.load_state_dict({name: tensors[name].float() for name in wanted}, strict=False)
    except RuntimeError as failure:
        reason = str(failure).splitlines()[-1].strip()
        raise ModelError(
            "checkpoint_mismatch", f"The weights for {where.name} do not fit: {reason}"
        ) from failure
    return network.eval().requires_grad_(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read published files and keep them."""
    parser = argparse.ArgumentParser(
        prog="worker.evaluation.measure_weights", description="Bring in weights that measures look through."
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they go (default: %(default)s)")
    which = parser.add_subparsers(dest="name", required=True)
    lpips = which.add_parser("lpips", help="torchvision's AlexNet, and the linear heads of LPIPS 0.1")
    lpips.add_argument("--alexnet", type=Path, required=True)
    lpips.add_argument("--heads", type=Path, required=True)
    for name, what in (
        ("inception", "Inception-v3 as pytorch-fid has it"),
        ("vggface2", "ResNet-50 of VGGFace2"),
    ):
        which.add_parser(name, help=what).add_argument("--weights", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        if options.name == "lpips":
            alexnet, heads = read_checkpoint(options.alexnet), read_checkpoint(options.heads)
            tensors: Mapping[str, torch.Tensor] = published_names(alexnet, heads)
        else:
            tensors = read_checkpoint(options.weights)
        where = bring_in(options.name, tensors, options.folder)
    except KeyError as failure:
        return _refuse(f"These are not the files that are wanted: {failure} is missing.")
    except MediaError as failure:
        return _refuse(failure.message)
    sys.stdout.write(f"{where}\n")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
