"""The broker: Valkey on a loopback port, with a password and an append-only file of its own."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from pathlib import Path

from core.stack import binaries
from core.stack.child import Program
from core.stack.ports import LOOPBACK

USER = "voicesketch"


def url(port: int, password: str) -> str:
    return f"redis://{USER}:{password}@{LOOPBACK}:{port}/0"


def program(folder: Path, log: Path, port: int, password: str, environment: Mapping[str, str]) -> Program:
    """Valkey keeping its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(_configuration(port, password))
    return Program(
        name="valkey",
        title=f"Valkey, the broker, on {LOOPBACK}:{port}",
        command=(str(binaries.valkey_server()), str(configuration)),
        folder=folder,
        log=log,
        environment=environment,
        is_ready=lambda: answers_ping(port, password),
    )


def answers_ping(port: int, password: str) -> bool:
    """Whether the server takes this password and has read its file back; without a client library, to stay light."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(f"AUTH {USER} {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                received = connection.recv(256)
                if not received:
                    return False
                answer += received
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"


def _configuration(port: int, password: str) -> str:
    fingerprint = hashlib.sha256(password.encode()).hexdigest()
    # INFO counts as dangerous, yet redis-py and Celery's `inspect` ask for it and it changes nothing.
    return f"""\
bind {LOOPBACK}
port {port}
protected-mode yes
daemonize no
dir .
user default off
user {USER} on #{fingerprint} ~* &* +@all -@dangerous +info
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
tcp-keepalive 60
set-proc-title no
"""
