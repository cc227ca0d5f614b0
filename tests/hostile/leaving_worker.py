"""Holds decoding processes at work until it is killed: `python -m tests.hostile.leaving_worker`."""

from __future__ import annotations

import threading
import time

from tests.hostile import fragile
from worker.decoding.decoders import Decoders

if __name__ == "__main__":
    decoders = Decoders(2, program=fragile.PROGRAM)
    for _ in range(2):
        threading.Thread(target=decoders.decode, args=("voice", fragile.COMPUTE), daemon=True).start()
    while len(decoders.pids) < 2:
        time.sleep(0.01)
    time.sleep(0.2)  # both are in the middle of their file
    print(*decoders.pids, flush=True)  # noqa: T201
    time.sleep(600)
