"""A dataset prepared on this machine, with no servers: `python -m worker.prepare PATH --out DIR --recipe-json JSON`.

The same plan, the same preparation and the same files as the queue's. Shards are finished one by one; killed and
started again, the program takes over those that are whole and whose inputs are as they were, and ends with the same
dataset. `dataset.json` is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from core.datasets.layouts import LayoutOptions, plan_folder
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe
from core.errors import InvalidRequest
from core.progress import Silent, make_progress
from worker.ml.errors import ModelError
from worker.ml.full_disk import is_full

if TYPE_CHECKING:
    from worker.dataset_assembly import AssembledDataset

ALL_KEPT, SOME_REJECTED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (docs/datasets.md)."""
    options = _parser().parse_args(arguments)
    try:
        recipe = Recipe.model_validate_json(options.recipe_json)
        encoder = _encoder_folder(recipe, options.face_encoder)
        how = LayoutOptions(columns=_columns(options.column), faces=options.faces)
        plan, root = _plan(options.path, options.out, _with_version(recipe, encoder), options.layout, how)
        # Torch takes over a second to load, and what is wrong so far has been told before.
        from worker.dataset_folder import prepare_folder

        progress = Silent() if options.json else make_progress()
        with progress:
            assembled = prepare_folder(
                plan, root, options.out, progress, device=options.device, face_encoder=encoder
            )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return _refuse(f"The recipe cannot be used: {where + ': ' if where else ''}{first['msg']}.")
    except (InvalidRequest, ModelError) as error:
        return _refuse(error.message)
    except OSError as failure:
        return _refuse(_cannot_write(failure, options.out))
    except KeyboardInterrupt:
        return INTERRUPTED
    return _finish(plan, assembled, options.out, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voicesketch prepare --local", description="Prepare a dataset on this machine."
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a folder, or a manifest")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the dataset goes")
    parser.add_argument(
        "--recipe-json", default="{}", metavar="JSON", help="what is kept, and how people are split"
    )
    parser.add_argument("--layout", default="auto", help="how the folder is laid out (default: auto)")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="WHAT=NAME",
        help="of a manifest: which column holds voice, face, identity, split, path or side; may be repeated",
    )
    parser.add_argument(
        "--faces", choices=("masked", "origin"), default="masked", help="which pictures of HQ-VoxCeleb"
    )
    parser.add_argument(
        "--face-encoder", type=Path, metavar="FOLDER", help="a network that makes embeddings of faces"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, … (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON, and nothing else")
    return parser


def _columns(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [what for what, sign, name in pairs if not (what and sign and name)]:
        raise InvalidRequest(f"--column takes WHAT=NAME, as in face=portrait; {wrong[0]!r} is not that.")
    return {what: name for what, _, name in pairs}


def _plan(path: Path, out: Path, recipe: Recipe, layout: str, options: LayoutOptions) -> tuple[Plan, Path]:
    """The plan, and the folder where its keys begin."""
    root = path.parent if path.is_file() else path
    if out.resolve().is_relative_to(root.resolve()):
        raise InvalidRequest(f"{out} lies within the data. Choose a folder outside of {root}.")
    return plan_folder(path, recipe, layout, options), root


def _encoder_folder(recipe: Recipe, given: Path | None) -> Path | None:
    if recipe.face is None or "embedding" not in recipe.face.outputs:
        return None
    return given or Path(recipe.face.encoder or "")


def _with_version(recipe: Recipe, encoder: Path | None) -> Recipe:
    """The recipe with the encoder's name and revision for its folder, so that the dataset tells of no folder."""
    from worker.ml.model_folders import read_config_values

    if encoder is None or recipe.face is None:
        return recipe
    if not (encoder / "config.json").is_file():
        return (
            recipe  # all embeddings may have been made before; if one is missing, loading the encoder says so
        )
    values = read_config_values(encoder)
    version = f"{values.get('name')}@{values.get('revision')}"
    return recipe.model_copy(update={"face": recipe.face.model_copy(update={"encoder": version})})


def _finish(plan: Plan, assembled: AssembledDataset, out: Path, *, as_json: bool) -> int:
    """Say how it went."""
    summary = assembled.summary
    code = _exit_code(summary)
    if as_json:
        told = {"out": str(out), "sha256": assembled.sha256, "layout": plan.layout, **summary}
        print(json.dumps(told, indent=2))  # noqa: T201
        return code
    for reason, count in summary["rejects"].items():
        print(f"{count:,} left out: {reason}", file=sys.stderr)  # noqa: T201
    parts = ", ".join(f"{part['people']:,} {split}" for split, part in summary["by_split"].items())
    if code == WRONG_USAGE:
        return _refuse(f"Nothing could be kept. {out / 'report.json'} names every input and why.")
    print(f"{summary['entries']:,} entries of {summary['people']:,} people ({parts}): {out}")  # noqa: T201
    return code


def _exit_code(summary: dict[str, Any]) -> int:
    if not summary["entries"]:
        return WRONG_USAGE
    from worker.dataset_report import AS_ASKED

    return SOME_REJECTED if summary["rejects"].keys() - AS_ASKED else ALL_KEPT


def _cannot_write(failure: OSError, out: Path) -> str:
    if is_full(failure):
        return f"The disk is full: {out} cannot be written on. Make room and run the same command again; it goes on."
    return f"{out} cannot be written: {failure.strerror or failure}."


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return WRONG_USAGE


if __name__ == "__main__":
    sys.exit(main())
