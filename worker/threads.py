"""How many threads the numerical libraries of a worker take, and how they wait.

A worker draws, decodes, encodes and sends at the same time, on the same cores. Threads that spin while they wait, as
OpenMP's and OpenBLAS's do where nobody says otherwise, then burn what the others need: measured on two busy cores,
drawing took half as much processor time again, and a spectrogram three times as much.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_SHARING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # torch
    "OPENBLAS_NUM_THREADS": "1",  # numpy: small products, asked for by several threads at once
}
# Threads of ours that hold the interpreter between two calls of a library let go of it so often: the one that drives
# the network otherwise waits 5 ms, time and again, for one that signs a request.
_SWITCH_SECONDS = 0.0005

_ours: set[str] = set()


def share_cores() -> None:
    """Call it before numpy and torch are imported; later it has no effect. What the environment says stays."""
    for name, value in _SHARING.items():
        if name not in os.environ:
            os.environ[name] = value
            _ours.add(name)
    sys.setswitchinterval(_SWITCH_SECONDS)


def as_before(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for programs that have cores to themselves: without what `share_cores` put into ours."""
    return {name: value for name, value in environ.items() if name not in _ours}
