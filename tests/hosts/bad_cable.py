"""A cable that loses some frames and brings the others late: `bad_cable.py ONE OTHER SHARE SECONDS`.

It makes an interface ONE and an interface OTHER, and carries what leaves by each to the other, SECONDS later, but for
SHARE of them. The kernel's netem does the same, where a kernel has it. Says `up` when the interfaces are there and,
asked to end, how many frames it took and how many of them it lost. It needs no module of ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import signal
import struct
import sys
import time
from collections import deque

DEVICE = "/dev/net/tun"
_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_FRAMES_ALONE = 0x0002 | 0x1000  # IFF_TAP | IFF_NO_PI
_LARGEST_FRAME = 65_536
_AT_ONCE = 64
_SEED = 7


def main() -> int:
    one, other = (_interface(name) for name in sys.argv[1:3])
    share, seconds = float(sys.argv[3]), float(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _say("up")
    taken = lost = 0
    chance = random.Random(_SEED)
    on_their_way: deque[tuple[float, int, bytes]] = deque()  # each as long as the next, so they stay in order
    try:
        while True:
            patience = max(0.0, on_their_way[0][0] - time.monotonic()) if on_their_way else None
            for end in select.select([one, other], [], [], patience)[0]:
                for frame in _frames(end):
                    taken += 1
                    if chance.random() < share:
                        lost += 1
                    else:
                        on_their_way.append((time.monotonic() + seconds, other if end == one else one, frame))
            while on_their_way and on_their_way[0][0] <= time.monotonic():
                _, end, frame = on_their_way.popleft()
                with contextlib.suppress(OSError):  # nobody is at that end
                    os.write(end, frame)
    finally:
        _say(f"{taken} {lost}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _interface(name: str) -> int:
    end = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _SET_INTERFACE, struct.pack("16sH22x", name.encode(), _FRAMES_ALONE))
    return end


def _frames(end: int) -> list[bytes]:
    found: list[bytes] = []
    with contextlib.suppress(OSError):  # there is none left
        while len(found) < _AT_ONCE:
            found.append(os.read(end, _LARGEST_FRAME))
    return found


if __name__ == "__main__":
    sys.exit(main())
