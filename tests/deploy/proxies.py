"""Real proxies with the very files of deploy/proxy, but for ports, places and names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "proxy"
# Two of the many addresses of this machine. The first one is that of proxy and dashboard, and of whoever is within.
ONE, OTHER = "127.0.0.1", "127.0.0.2"


@dataclass(frozen=True)
class Proxy:
    """How one kind of proxy is started.

    Args:
        command: of its folder, the folder of the certificate, and the ports `dashboard`, `tls` and `plain`.
    """

    program: str
    command: Callable[[Path, Path, Mapping[str, int]], list[str | Path]]


def written(file: str, changes: tuple[tuple[str, str], ...]) -> str:
    site = (FOLDER / file).read_text()
    for there, here in changes:
        assert there in site, there
        site = site.replace(there, here)
    return site


def nginx(folder: Path, certificate: Path, chosen: Mapping[str, int]) -> list[str | Path]:
    """With what a distribution's own nginx.conf has around the file."""
    site = written(
        "nginx.conf",
        (
            ("127.0.0.1:8000", f"{ONE}:{chosen['dashboard']}"),
            ("listen 80;", f"listen {ONE}:{chosen['plain']};"),
            ("listen 443 ssl", f"listen {ONE}:{chosen['tls']} ssl"),
            ("/etc/ssl/voicesketch", str(certificate)),
            ("https://$host$request_uri", f"https://$host:{chosen['tls']}$request_uri"),
            ("Host $host;", f"Host $host:{chosen['tls']};"),
            ("faces.example.org", ONE),
        ),
    )
    site = re.sub(r"^ *listen \[::\].*\n", "", site, flags=re.MULTILINE)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 1;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}\n{site}\n}}\n"
    )
    return ["nginx", "-p", folder, "-c", file]


def caddy(folder: Path, certificate: Path, chosen: Mapping[str, int]) -> list[str | Path]:
    """With a certificate that is there, since nobody here gives out any."""
    own = f"\ttls {certificate}/fullchain.pem {certificate}/key.pem\n\tbind {ONE}\n"
    site = written(
        "Caddyfile",
        (
            ("reverse_proxy 127.0.0.1:8000", f"reverse_proxy {ONE}:{chosen['dashboard']}"),
            ("\nfaces.example.org {\n", f"\nhttps://{ONE}:{chosen['tls']} {{\n{own}"),
            # Every address of this machine is a private one.
            ("remote_ip private_ranges", f"remote_ip {ONE}"),
        ),
    )
    file = folder / "Caddyfile"
    options = f"\tadmin off\n\thttp_port {chosen['plain']}\n\tstorage file_system {folder}/caddy\n"
    file.write_text(f"{{\n{options}}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", file]


PROXIES = {"nginx": Proxy("nginx", nginx), "caddy": Proxy("caddy", caddy)}
