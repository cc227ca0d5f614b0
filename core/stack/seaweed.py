"""The object store: SeaweedFS in one process, reachable on loopback, and only with credentials.

`weed mini` opens a dozen ports. Plain HTTP for files is switched off (`-disableHttp`); the volume server has to keep
its own port, so it gets signing keys nobody else knows and answers 401; S3 wants signatures. What stays open to other
accounts of the same machine is its internal gRPC, which it cannot protect without certificates: see `docs/`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from core.stack import binaries
from core.stack.child import Program
from core.stack.ports import LOOPBACK, http_status

# The names are those of weed's own options.
PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
)
# The part that compacts volumes looks for the admin part's gRPC there, whatever port it was given.
BESIDE = {"admin.port": 10_000}
SIGNING_KEYS = ("JWT_SIGNING", "JWT_SIGNING_READ", "JWT_FILER_SIGNING", "JWT_FILER_SIGNING_READ")
# weed puts one socket per gRPC port here and cannot be told otherwise.
SOCKETS = Path("/tmp")  # noqa: S108
LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107


def suits(port: int) -> bool:
    """Whether no other account's socket sits where weed would put its own for this port; it could not remove it."""
    return all(socket.stat().st_uid == os.getuid() for socket in SOCKETS.glob(f"seaweedfs-*-{port}.sock"))


def url(ports: Mapping[str, int]) -> str:
    return f"http://{LOOPBACK}:{ports['s3.port']}"


def program(
    folder: Path,
    log: Path,
    ports: Mapping[str, int],
    access_key: str,
    secret_key: str,
    environment: Mapping[str, str],
    volume_megabytes: int = 1024,
) -> Program:
    """SeaweedFS keeping its objects in `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Written by weed with the options of its last start, and read back; ours are on the command line.
    (folder / "mini.options").unlink(missing_ok=True)
    options = {
        "dir": str(folder),
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "disableHttp": "true",
        "admin.ui": "false",
        "webdav": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        # On by default, and not ours to decide for the people who run this.
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": str(volume_megabytes),
        "filer.localSocket": _socket(folder, "filer"),
        "s3.localSocket": _socket(folder, "s3"),
        **{name: str(ports[name]) for name in PORTS},
        "admin.port.grpc": str(ports["admin.port"] + BESIDE["admin.port"]),
    }
    return Program(
        name="seaweedfs",
        title=f"SeaweedFS, the object store, on {url(ports)}",
        command=(
            str(binaries.weed()),
            "-logtostderr=true",
            "mini",
            *(f"-{name}={value}" for name, value in options.items()),
        ),
        folder=folder,
        log=log,
        environment={
            **environment,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            # Without this a bucket's first object makes seven volumes, each with its own file handles and memory.
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
            **_signing_keys(secret_key),
        },
        # Answers and refuses strangers. The S3 part starts last, so the rest is up when it is.
        is_ready=lambda: http_status(ports["s3.port"], "/", timeout_seconds=2) == HTTPStatus.FORBIDDEN,
        ready_seconds=120.0,
    )


def remove_sockets(ports: Mapping[str, int]) -> None:
    """Clears what a killed weed leaves outside the data folder."""
    for port in (
        *ports.values(),
        *(ports[name] + distance for name, distance in BESIDE.items() if name in ports),
    ):
        for socket in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
            if socket.stat().st_uid == os.getuid():
                socket.unlink(missing_ok=True)


def _signing_keys(secret: str) -> dict[str, str]:
    # Derived, not stored: they are needed by this one process only, and must merely be unknown to others.
    return {
        f"WEED_{name}_KEY": hashlib.sha256(f"{name}:{secret}".encode()).hexdigest() for name in SIGNING_KEYS
    }


def _socket(folder: Path, name: str) -> str:
    path = folder / f"{name}.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return str(path)
    # A folder nobody else can enter; its name need not be the same next time.
    return str(Path(tempfile.mkdtemp(prefix="voicesketch-")) / f"{name}.sock")
