"""The words people read for workers, stored things, their retention and the health of the service."""

from __future__ import annotations

from core.keeping.rules import Kept

WORKER_WORDS: dict[str, str] = {
    "working": "Working",
    "idle": "Idle",
    "draining": "Draining",
    "drained": "Drained",
    "leaving": "Leaving",
    "silent": "Not heard of",
    "gone": "Gone",
}

HEALTH_WORDS: dict[str, str] = {"ok": "Well", "warning": "Look at it", "failed": "Failed"}

# The parts that are asked for their health.
PART_WORDS: dict[str, str] = {
    "ledger": "Ledger",
    "clock": "Clock",
    "broker": "Broker",
    "object store": "Object store",
    "ticker": "Ticker",
    "workers": "Workers",
    "disk": "Disk",
}

# What nobody may have more of than so much.
LIMIT_WORDS: dict[str, str] = {
    "items_at_once": "Recordings waiting or at work",
    "items_a_day": "Recordings in jobs of the last 24 hours",
    "jobs_at_once": "Jobs that have not ended",
    "stored_bytes": "Recordings stored",
}

# What rules of retention are about, as a choice in a form.
KEPT_WORDS: dict[Kept, str] = {
    Kept.FACES: "Faces, with their thumbnails and spectrograms",
    Kept.RECORDINGS: "Recordings",
    Kept.CHECKPOINTS: "Checkpoints of trainings",
    Kept.LOGS: "Lines of logs",
}

# Roles and scopes, as people read them; forms and shells send the names themselves.
ROLE_WORDS: dict[str, str] = {
    "viewer": "viewer",
    "submitter": "submitter",
    "operator": "operator",
    "admin": "admin",
    "read": "read",
    "submit": "submit",
    "operate": "operate",
}

# Kinds of stored things by the names that the ledger has for them; a kind without a word here keeps its name.
STORED_WORDS: dict[str, str] = {
    "recordings": "Recordings",
    "faces": "Faces",
    "thumbnails": "Thumbnails",
    "spectrograms": "Spectrograms",
    "models": "Models",
    "datasets": "Datasets",
    "job files": "Job files",
    "unfinished uploads": "Unfinished uploads",
    "checkpoints": "Checkpoints",
    "logs": "Logs",
}
