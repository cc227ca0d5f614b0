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


def thumbnail_key(job_id: str, token: int, item_id: int) -> str:
    return f"jobs/{job_id}/attempts/{token}/{item_id}.thumbnail.webp"


def job_file_key(job_id: str, sha256: str) -> str:
    """Where a file lies that a program of a job left."""
    return f"jobs/{job_id}/files/{sha256}"


def model_upload_key(sha256: str) -> str:
    """Where a file of a model waits for its registration; known by its content."""
    return f"models/files/{sha256}"


def dataset_plan_key(sha256: str) -> str:
    return f"datasets/plans/{sha256}.jsonl"


def dataset_shard_key(sha256: str) -> str:
    return f"datasets/shards/{sha256[:2]}/{sha256}.tar"


def dataset_sidecar_key(shard_sha256: str) -> str:
    """Beside a shard: what is in it, what was rejected, and sums for the statistics."""
    return f"datasets/shards/{shard_sha256[:2]}/{shard_sha256}.json"


def dataset_file_key(dataset_sha256: str, name: str) -> str:
    return f"datasets/versions/{dataset_sha256}/{name}"
