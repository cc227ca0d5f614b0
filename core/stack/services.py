"""What the stack runs, and the settings that join it together."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from core.config import PREFIX, Settings, load_settings, to_environment
from core.stack import seaweed, valkey
from core.stack.child import Program
from core.stack.credentials import Credentials
from core.stack.folder import DataFolder
from core.stack.ports import LOOPBACK, http_status

CHECKOUT = Path(__file__).resolve().parent.parent.parent
# The worker's share of the 15 s in which the whole stack has to stop.
SOFT_SHUTDOWN_SECONDS = 6


@dataclass(frozen=True)
class Services:
    """Every program of one stack, in the order in which they start."""

    servers: tuple[Program, ...]
    preparation: Program
    programs: tuple[Program, ...]


def settings_of(
    folder: DataFolder, ports: Mapping[str, int], credentials: Credentials, environ: Mapping[str, str]
) -> Settings:
    """The settings of the stack: addresses and credentials are its own, the rest may come from the environment."""
    return load_settings(
        {
            f"{PREFIX}CACHE_FOLDER": str(folder.cache),
            **environ,
            f"{PREFIX}DATABASE_URL": folder.ledger_url,
            f"{PREFIX}BROKER_URL": valkey.url(ports["valkey"], credentials.valkey_password),
            f"{PREFIX}S3_ENDPOINT_URL": seaweed.url(ports),
            f"{PREFIX}S3_ACCESS_KEY": credentials.s3_access_key,
            f"{PREFIX}S3_SECRET_KEY": credentials.s3_secret_key,
            f"{PREFIX}SECRET_KEY": credentials.secret_key,
            f"{PREFIX}PUBLIC_URL": f"http://{LOOPBACK}:{ports['dashboard']}",
        }
    )


def services_of(
    folder: DataFolder, ports: Mapping[str, int], credentials: Credentials, environ: Mapping[str, str]
) -> Services:
    """The programs that make up the stack."""
    surroundings = _surroundings(environ)
    settings = settings_of(folder, ports, credentials, environ)
    python = {**surroundings, **to_environment(settings), "PYTHONUNBUFFERED": "1"}

    def module(name: str, *arguments: str, **more: object) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", *arguments),
            folder=folder.run,
            log=folder.log(name),
            **{"environment": python, **more},  # type: ignore[arg-type]
        )

    port = ports["dashboard"]
    return Services(
        servers=(
            valkey.program(
                folder.valkey,
                folder.log("valkey"),
                ports["valkey"],
                credentials.valkey_password,
                surroundings,
            ),
            seaweed.program(
                folder.seaweedfs,
                folder.log("seaweedfs"),
                ports,
                credentials.s3_access_key,
                credentials.s3_secret_key,
                surroundings,
            ),
        ),
        preparation=module("preparation", "core.stack.preparation", str(folder.client)),
        programs=(
            module(
                "worker",
                *("celery", "-A", "worker.app", "worker", "-Q", settings.queue, "-n", "worker@%h"),
                *("--loglevel", "INFO", "--", f"worker_soft_shutdown_timeout={SOFT_SHUTDOWN_SECONDS}"),
                # Makes SIGTERM a soft shutdown: finish what is on the device, then end.
                environment={**python, "REMAP_SIGTERM": "SIGQUIT"},
                title="the worker that draws",
            ),
            module("ticker", "core.ticker", title="the ticker"),
            module(
                "dashboard",
                *("gunicorn", "-c", "python:dashboard.gunicorn_config", "-b", f"{LOOPBACK}:{port}"),
                "dashboard.wsgi:app",
                is_ready=lambda: http_status(port, "/healthz", timeout_seconds=5) == HTTPStatus.OK,
                title=f"the dashboard, on {settings.public_url}",
            ),
        ),
    )


def _surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """What children see of the caller's environment."""
    # A user's own AWS account, or settings of another installation, must not reach into this stack.
    kept = {name: value for name, value in environ.items() if not name.startswith((PREFIX, "AWS_"))}
    # Everything here is on loopback; a company proxy could only get it wrong.
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name, ""), LOOPBACK, "localhost"]))
    # Children work in a folder of their own and must find the very code that runs here.
    kept["PYTHONPATH"] = ":".join(filter(None, [str(CHECKOUT), kept.get("PYTHONPATH", "")]))
    return kept
