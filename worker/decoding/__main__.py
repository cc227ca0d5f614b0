"""`python -m worker.decoding PARENT LINE RESULT BOUNDS`: decodes one file after another until its worker hangs up.

Started by `worker.decoding.process`, with nothing of ours in its environment. LINE is the descriptor of a socket
on which questions come and answers go, RESULT that of a file that takes samples and pixels, BOUNDS is JSON.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from worker.decoding.bounds import Bounds, confine, die_with_parent


def main() -> int:
    parent, line, result = (int(word) for word in sys.argv[1:4])
    bounds = Bounds(**json.loads(sys.argv[4]))
    die_with_parent(parent)
    from worker.decoding.serving import get_ready, serve  # the libraries: by now it dies with its worker

    get_ready()
    confine(bounds, parent)
    # Until here trouble is told where the worker tells its own; libraries that comment on files are not listened to.
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    serve(socket.socket(fileno=line), result, bounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
