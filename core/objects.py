"""Where objects lie, and what is known of one that was stored.

Keys are made of hashes and our own ids, never of a name that somebody gave.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StoredObject:
    """An object that was uploaded: enough to find it and to check it."""

    kind: str
    object_key: str
    media_type: str
    size_bytes: int
    sha256: str


def recording_key(sha256: str) -> str:
    return f"recordings/{sha256[:2]}/{sha256}"


def face_key(job_id: str, token: int, item_id: int) -> str:
    return f"jobs/{job_id}/attempts/{token}/{item_id}.face.png"


def spectrogram_key(job_id: str, token: int, item_id: int) -> str:
    return f"jobs/{job_id}/attempts/{token}/{item_id}.spectrogram.png"


def model_file_key(sha256: str, name: str) -> str:
    return f"models/{sha256}/{name}"
