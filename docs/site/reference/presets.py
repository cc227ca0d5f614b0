"""Every recipe that a training can start from, whole."""

from __future__ import annotations

from core.training.presets import PRESETS
from core.training.requests import FEATURES
from docs.site.reference.tables import code, plain


def page() -> str:
    """The page in Markdown."""
    lines = [
        "# Presets of trainings",
        "",
        "What a training starts from, written from the code. Single values are changed with `--set recipe.KEY=VALUE`;",
        "how a training runs is told in [training](../training.md).",
        "",
    ]
    for name, preset in PRESETS.items():
        lines += [f"## {name}", "", f"**{plain(preset.title)}.** {plain(preset.sentence)}", ""]
        read = ", ".join(code(feature) for feature in FEATURES[preset.recipe.task])
        lines += [f"Reads {read} of a dataset.", ""]
        lines += ["```json", preset.recipe.model_dump_json(indent=2), "```", ""]
        machine = preset.machine.model_dump(exclude_defaults=True)
        if machine:
            told = ", ".join(code(f"machine.{key}={value}") for key, value in machine.items())
            lines += [f"Best run with {told}.", ""]
    return "\n".join(lines)
