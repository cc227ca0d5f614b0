"""Scripts, styles and pictures of the pages: named by their content, kept for ever, and sent packed."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, request, url_for

_A_YEAR = 365 * 24 * 3600
_PACKED_TYPES = frozenset({".css", ".js", ".svg"})
# Smaller ones fit into a packet or two anyway.
_WORTH_PACKING_BYTES = 600


@dataclass(frozen=True)
class _File:
    sha256: str
    packed: bytes | None


def register_static_files(app: Flask) -> None:
    """Gives templates `static_url`, and every static file its headers."""
    files = _read(Path(app.static_folder or ""))

    def static_url(name: str) -> str:
        # Named by its content, a file may be kept for ever.
        return url_for("static", filename=name, v=files[name].sha256[:12])

    def finish(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 304):
            _keep(response)
            file = files.get(str((request.view_args or {}).get("filename")))
            if file is not None and file.packed is not None:
                _pack(response, file.packed)
        return response

    app.jinja_env.globals["static_url"] = static_url
    app.after_request(finish)


def _keep(response: Response) -> None:
    # Scripts import one another by plain names, so those are asked for anew each time; the answer is mostly 304.
    named_by_content = "v" in request.args
    response.headers["Cache-Control"] = (
        f"public, max-age={_A_YEAR}, immutable" if named_by_content else "no-cache"
    )


def _pack(response: Response, packed: bytes) -> None:
    response.vary.add("Accept-Encoding")
    if (
        response.status_code == 200
        and request.method == "GET"
        and request.accept_encodings.quality("gzip") > 0
        and "Range" not in request.headers
    ):
        response.close()  # the file that would have been sent as it is
        response.direct_passthrough = False
        response.set_data(packed)
        response.headers["Content-Encoding"] = "gzip"


def _read(folder: Path) -> dict[str, _File]:
    files = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            worth = path.suffix in _PACKED_TYPES and len(content) >= _WORTH_PACKING_BYTES
            files[path.relative_to(folder).as_posix()] = _File(
                hashlib.sha256(content).hexdigest(), gzip.compress(content, 9, mtime=0) if worth else None
            )
    return files
