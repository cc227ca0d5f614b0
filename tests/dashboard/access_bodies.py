"""What is sent with the requests of the table of access, so that nothing but a permission can refuse them.

A line of the table names the variant of its body after the path, such as `POST /api/v1/jobs first`.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from tests.dashboard.conftest import SOUND


def archive() -> bytes:
    """A ZIP with one recording."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.flac", SOUND)
    return content.getvalue()


# As JSON; what is not here sends an empty object.
JSON: dict[str, Any] = {
    "PUT /api/v1/account/password": {"new": "a horse and a staple"},
    "POST /api/v1/analyses": {"model": "{model}", "dataset": "{dataset}"},
    "POST /api/v1/collections/{new}/files": {"files": []},
    "POST /api/v1/collections/{collection}/files": {"files": []},
    "POST /api/v1/datasets": {"name": "{new}", "recipe": {"face": None}, "files": [{"path": "p1/voice.wav"}]},
    "POST /api/v1/erasure other": {"user": "{user}"},
    # Refused for the name that does not fit, once it is allowed at all: the askers are needed further on.
    "POST /api/v1/erasure own": {"dry_run": False, "confirm": "somebody else"},
    "PUT /api/v1/retention/faces": {"days": 30},
    "POST /api/v1/evaluations": {"model": "{model}", "dataset": "{dataset}"},
    "POST /api/v1/jobs": {"items": [{"key": "a", "error_code": "missing_file"}]},
    "POST /api/v1/jobs first": {"items": [{"key": "a", "error_code": "missing_file"}], "priority": 1},
    "POST /api/v1/jobs/{job}/faces.zip": {"items": ["{item:number}"]},
    "PUT /api/v1/jobs/{job}/items/{item}/mark": {"favourite": True},
    "POST /api/v1/jobs/{job}/contact-sheet.pdf": {"items": ["{item:number}"]},
    "PUT /api/v1/jobs/{job}/marks": {"items": ["{item:number}"], "favourite": True},
    "POST /api/v1/jobs/{queued}/priority": {"priority": -1},
    "POST /api/v1/jobs/{queued}/priority first": {"priority": 1},
    "POST /api/v1/jobs/steer": {"jobs": ["{queued}"], "action": "pause"},
    "POST /api/v1/jobs/{job}/rerun": {"model": "{model}", "which": "all"},
    "POST /api/v1/jobs/{job}/rerun dry": {"model": "{model}", "which": "all", "dry_run": True},
    "POST /api/v1/models": {
        "name": "{new}",
        "files": [
            {"name": "config.json", "sha256": "{config}"},
            {"name": "model.safetensors", "sha256": "{weights}"},
        ],
    },
    "POST /api/v1/models/pairs": {"name": "{new}", "encoder": "ears@1", "decoder": "hand@1"},
    "POST /api/v1/schedules": {
        "name": "{new}",
        "cron": "30 2 * * *",
        "template": {
            "source": {"collection": "folk"},
            "training": {"preset": "matching-small", "model": "matcher"},
        },
    },
    "POST /api/v1/schedules/preview": {"cron": "30 2 * * *"},
    "PATCH /api/v1/schedules/{schedule}": {"cron": "30 3 * * *"},
    "POST /api/v1/schedules/{schedule}/run": {"anyway": True},
    "POST /api/v1/tokens": {"name": "{new}", "scope": "read"},
    "POST /api/v1/tokens more": {"name": "{new}", "scope": "operate"},
    "POST /api/v1/trainings": {"model": "{new}", "dataset": "{dataset}", "recipe": {"task": "ve_conv"}},
    "POST /api/v1/uploads": {"name": "a.flac", "size_bytes": 4, "fingerprint": "{new}"},
    "POST /api/v1/recordings/check": {"recordings": ["{recording}"]},
    "POST /api/v1/sources/s3": {"url": "s3://open-to-jobs/voices/"},
    "POST /api/v1/sources/s3/check": {"url": "s3://open-to-jobs/voices/"},
    "POST /api/v1/uploads/{upload}/links": {"parts": [1]},
    "POST /api/v1/users": {"name": "{new}", "role": "admin"},
    "PATCH /api/v1/users/{user}": {"role": "admin"},
    "PUT /api/v1/users/{user}/quota": {"items_a_day": 1_000_000},
}

# As the raw body.
RAW: dict[str, bytes] = {
    "POST /api/v1/archives": archive(),
    "POST /api/v1/manifests/check": b"path\na.flac\n",
    "PUT /api/v1/models/files": b"{}",
    "PUT /api/v1/recordings": SOUND,
    "PUT /api/v1/uploads/{upload}/parts/1": b"fLaC",
}

# As the fields of a form.
FORM: dict[str, dict[str, str]] = {
    "POST /account/password": {"new": "a horse and a staple", "again": "a horse and a staple"},
    "POST /account/tokens": {"name": "{new}", "scope": "read"},
    "POST /people": {"name": "{new}", "role": "admin"},
    "POST /people/{user}/role": {"role": "admin"},
    "POST /aliases/{alias}/rollback": {"version": "{at}"},
    "POST /jobs/{queued}/priority": {"priority": "1"},
    "POST /jobs/{job}/chosen/contact-sheet.pdf": {"chosen": "{item}"},
    "POST /jobs/{job}/chosen/faces.zip": {"chosen": "{item}"},
    "POST /jobs/steer": {"job": "{queued}", "action": "pause"},
    "POST /jobs/{job}/rerun": {"model": "{model}", "of": "all"},
    "POST /erasure": {"confirm": "somebody else"},
    "POST /retention": {"kind": "faces", "days": "30"},
    "POST /retention/remove": {"kind": "{rule}"},
    "POST /schedules/{schedule}/run": {"anyway": "on"},
}
