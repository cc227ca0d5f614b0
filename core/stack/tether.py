"""Ties a program's life to its parent's, then becomes that program: `tether.py PARENT_PID PROGRAM ARGUMENT...`.

When a supervisor is killed with SIGKILL it cannot stop its children; the Linux kernel can do it instead. Run by path
and with nothing of ours imported, since it runs before every child and should cost milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the kernel was told; nobody wants this child any more.
        sys.exit("the process that started this one is gone")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
