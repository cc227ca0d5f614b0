"""Ties a program's life to its parent's, then becomes that program: `tether.py PARENT_PID SIGNAL PROGRAM ARGUMENT...`.

When a supervisor is killed with SIGKILL it cannot stop its children; the Linux kernel can signal them instead. Run by
path and with nothing of ours imported, since it runs before every child and should cost milliseconds.
"""

from __future__ import annotations

import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the kernel was told; nobody wants this child any more.
        sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main()
