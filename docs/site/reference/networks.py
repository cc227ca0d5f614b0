"""Every kind of network, its default size, and each number of its configuration, from the catalogue."""

from __future__ import annotations

import dataclasses
import inspect

from benchmarks.networks import DEFAULT_MODEL, network_size
from docs.site.reference.tables import code, plain, table
from worker.ml.networks.catalogue import KINDS


def page() -> str:
    """The page in Markdown."""
    lines = [
        "# Kinds of networks",
        "",
        "Every kind of network with the configuration that it has by default, written from the code. Where each comes",
        "from and what was corrected is told in [networks](../networks.md). Sizes are for one clip, picture or",
        "embedding.",
        "",
    ]
    heads = ("network", "what it is for", "input", "output", "parameters", "GFLOP")
    rows = []
    for name in (*KINDS, DEFAULT_MODEL):
        size = network_size(name)
        role = KINDS[name].role.replace("_", " ") if name in KINDS else "the default model, whole"
        rows.append([code(name), role, size.given, size.answer, f"{size.parameters:,}", f"{size.gflop:.2f}"])
    lines += [table(heads, rows), ""]
    for name, kind in KINDS.items():
        network = kind.network_class()
        told = inspect.cleandoc(network.__doc__ or "").split("\n\n")[0]
        fields = [
            [code(field.name), code(field.type), code(getattr(network.Config(), field.name))]
            for field in dataclasses.fields(network.Config)
        ]
        lines += [
            f"## {name}",
            "",
            plain(told),
            "",
            f"`{kind.module}.{kind.name}` of `worker/ml/networks/`.",
            "",
        ]
        lines += [table(("setting", "type", "default"), fields), ""]
    return "\n".join(lines)
