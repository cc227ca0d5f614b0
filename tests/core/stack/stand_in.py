"""A stack of tiny programs, run by the real supervisor: `python -m tests.core.stack.stand_in --data DIR [--port N]`.

Whatever a test of the supervisor wants to see takes milliseconds here, and minutes with the real programs. The
environment chooses the trouble: `STAND_IN_BROKEN` names a program that ends as soon as it starts, `STAND_IN_UNHEARD` is
for a terminal that was closed.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from core.errors import VoicesketchError
from core.stack.child import Program
from core.stack.folder import DataFolder, locked
from core.stack.ports import answers
from core.stack.services import Services
from core.stack.supervisor import Supervisor

# A program with a child of its own that will not hear SIGTERM, as pools and web servers have them.
WITH_A_DEAF_CHILD = """
import os, signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True: time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("I do not listen", flush=True)
while True: time.sleep(600)
"""
WEB = """
import http.server, sys
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
PREPARATION = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[2])
count.write_text(str(int(count.read_text() or 0) + 1 if count.exists() else 1))
pathlib.Path(sys.argv[1]).write_text(json.dumps({"url": sys.argv[3], "token": "a-token"}))
print(sys.argv[3] + "/sign-in/a-link")
"""
BROKEN = "import sys; print('the reason why'); sys.exit(7)"


def services(folder: DataFolder, ports: Mapping[str, int]) -> Services:
    port = ports["dashboard"]

    def program(name: str, code: str, *arguments: str, **more: object) -> Program:
        if os.environ.get("STAND_IN_BROKEN") == name:
            code = BROKEN
        return Program(
            name=name,
            command=(sys.executable, "-c", code, *arguments),
            folder=folder.run,
            log=folder.log(name),
            environment=dict(os.environ),
            **more,  # type: ignore[arg-type]
        )

    return Services(
        servers=(program("valkey", DEAF if os.environ.get("STAND_IN_DEAF") else WITH_A_DEAF_CHILD),),
        preparation=program(
            "preparation",
            PREPARATION,
            str(folder.client),
            str(folder.path / "count"),
            f"http://127.0.0.1:{port}",
        ),
        programs=(
            program("worker", DEAF if os.environ.get("STAND_IN_DEAF") else WITH_A_DEAF_CHILD),
            program("dashboard", WEB, str(port), is_ready=lambda: answers(port)),
        ),
    )


def _say(line: str, said: IO[str]) -> None:
    if os.environ.get("STAND_IN_UNHEARD"):
        raise OSError(errno.EIO, "Input/output error")
    print(line, file=said)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int)
    chosen = parser.parse_args()
    try:
        with locked(chosen.data) as folder, (folder.path / "said").open("a", buffering=1) as said:
            Supervisor(folder, chosen.port, services, lambda line: _say(line, said)).run()
    except VoicesketchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
