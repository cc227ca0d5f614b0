"""An example of every JSON body of the API, made of its schema, so that none falls behind it.

A name means the same wherever it stands: its value here is one that could really be there.
"""

from __future__ import annotations

import copy
import re
from http import HTTPStatus
from typing import Any

_SHA256 = "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
_TIME = "2026-03-04T09:30:00Z"
_BY_NAME: dict[str, Any] = {
    "id": "job_01jnf3k8w2c5m7p9q1r3t5v7x9",
    "job": "job_01jnf3k8w2c5m7p9q1r3t5v7x9",
    "job_id": "job_01jnf3k8w2c5m7p9q1r3t5v7x9",
    "name": "autumn school",
    "key": "row 1",
    "model": ("default@1", "voices"),
    "label": "default@1",
    "alias": "production",
    "dataset": "people@3",
    "collection": "interviews",
    "owner": "ada",
    "actor_name": "ada",
    "media_type": "audio/flac",
    "recording": _SHA256,
    "sha256": _SHA256,
    "url": "https://example.org/told",
    "webhook_url": "https://example.org/told",
    "link": "https://voices.example.org/sign-in/…",
    "token": "vs_…",
    "webhook_secret": "vswh_…",
    "cron": "0 3 * * *",
    "time_zone": "Europe/Vienna",
    "zone": "Europe/Vienna",
    "path": "Ann/talk.flac",
    "error_code": "no_speech",
    "kind": "infer",
    "state": ("running", "done"),
    "role": "submitter",
    "scope": "read",
    "total": 40,
    "pending": 10,
    "leased": 4,
    "done": 20,
    "cached": 5,
    "failed": 1,
    "rate_per_second": 2.5,
    "eta_seconds": 5.6,
    "size_bytes": 482_133,
    "priority": 0,
    "new": "running",
    "code": "no_speech",
    "message": "The recording is silent.",
    "example": "The recording is silent.",
    "self": "/api/v1/jobs/job_01jnf3k8w2c5m7p9q1r3t5v7x9",
    "html": "/jobs/job_01jnf3k8w2c5m7p9q1r3t5v7x9",
    "face_name": "talk.png",
    "version": 1,
    "preset": "default",
} | dict.fromkeys(
    (
        "next",
        "next_page",
        "error",
        "rerun_of",
        "paused_at",
        "cancel_requested_at",
        "finalizing_at",
        "finished_at",
        "purged_at",
        "ended_at",
        "disabled_at",
        "locked_until",
        "draining_at",
        "last_error",
    )
)
_TRAINING = {
    "model": "voices",
    "recipe": {"task": "ve_conv", "face_encoder": "vgg_face@1", "face_decoder": "face_decoder@1"},
}
# Of which every field at its default would be long, and say little.
_SHORT: dict[str, dict[str, Any]] = {
    "NewTraining": {**_TRAINING, "dataset": "people@3"},
    "Retraining": {"source": {"collection": "interviews"}, "dataset": "people", "training": _TRAINING},
}
_BODIES: dict[str, dict[str, Any]] = {
    "NewJob": {
        "name": "autumn school",
        "model": "production",
        "items": [{"key": "row 1", "name": "talk.flac", "recording": _SHA256}],
        "labels": {"course": "autumn"},
    },
    "RetryRequest": {"which": "failed", "error_code": "worker_lost"},
    "MarkChange": {"favourite": True},
    "UserChange": {"role": "operator"},
    "ScheduleChange": {"cron": "0 4 * * *"},
}
_PROBLEMS = {
    400: ("invalid_request", "limit: Input should be less than or equal to 200"),
    401: ("not_allowed", "Send a token that is good for this."),
    403: ("not_allowed", "You may look at this job, but not change it."),
    404: ("not_found", "There is no such job."),
    409: ("conflict", "This job has already ended."),
    413: ("too_large", "This recording is larger than this service takes."),
    415: ("http_error", "The body has to be JSON."),
    429: ("too_many_requests", "Too many requests. Wait a moment."),
    503: ("storage_unavailable", "The object store cannot be reached."),
}
_REFERENCE = "#/components/schemas/"


def example(
    schema: dict[str, Any], schemas: dict[str, Any], *, status: int = 200, is_request: bool = False
) -> Any:
    """A body that the schema allows.

    Args:
        schemas: those that it may refer to, by name.
        status: of the answer that it is for.
        is_request: then what need not be said is left out.
    """
    if status >= 400:
        code, detail = _PROBLEMS.get(status, ("error", "Something went wrong."))
        title = HTTPStatus(status).phrase
        return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return _Maker(schemas, is_request).make(schema, "")


class _Maker:
    def __init__(self, schemas: dict[str, Any], is_request: bool) -> None:
        self._schemas = schemas
        self._is_request = is_request

    def make(self, part: dict[str, Any], name: str) -> Any:
        if "$ref" in part:
            kind = part["$ref"].removeprefix(_REFERENCE)
            known_body = _SHORT.get(kind) or (_BODIES.get(kind) if self._is_request else None)
            if known_body is not None:
                return copy.deepcopy(known_body)
            return self.make(self._schemas[kind], name)
        if "const" in part:
            return part["const"]
        choices = part.get("anyOf") or part.get("oneOf")
        if choices:
            known = [one for one in choices if one.get("type") != "null"]
            if name in _BY_NAME and _BY_NAME[name] is None and len(known) < len(choices):
                return None
            return self.make({"default": part.get("default"), **known[0]}, name)
        for known_value in _known(name):
            if _fits(known_value, part):
                return known_value
        if "enum" in part:
            return part["enum"][0]
        return self._plain(part, name)

    def _plain(self, part: dict[str, Any], name: str) -> Any:
        match part.get("type"):
            case "object":
                return self._object(part)
            case "array":
                if "prefixItems" in part:
                    return [self.make(one, name) for one in part["prefixItems"]]
                if not part.get("items"):
                    return []
                return [self.make(part["items"], name.removesuffix("s"))] * max(1, part.get("minItems", 1))
            case "string":
                return _text(part)
            case "integer" | "number":
                least = part.get("minimum", part.get("exclusiveMinimum", -1) + 1)
                return max(part.get("default") or 0, least)
            case "boolean":
                return bool(part.get("default"))
        return None

    def _object(self, part: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = part.get("properties", {})
        wanted = fields
        if self._is_request:
            needed = set(part.get("required", ()))
            wanted = {name: one for name, one in fields.items() if name in needed}
        return {name: self.make(one, name) for name, one in wanted.items()}


def _known(name: str) -> tuple[Any, ...]:
    value = _BY_NAME.get(name)
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _fits(value: Any, part: dict[str, Any]) -> bool:
    if "enum" in part:
        return value in part["enum"]
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float)}
    kind = kinds.get(str(part.get("type")))
    if kind is None or not isinstance(value, kind):
        return False
    if not isinstance(value, str):
        return bool(part.get("minimum", value) <= value <= part.get("maximum", value))
    return (
        part.get("format") != "date-time"
        and len(value) <= part.get("maxLength", len(value))
        and re.search(part.get("pattern", ""), value) is not None
    )


def _text(part: dict[str, Any]) -> str:
    if part.get("format") == "date-time":
        return _TIME
    if part.get("default"):
        return str(part["default"])
    return next(
        (text for text in (_SHA256, "text") if "pattern" in part and re.search(part["pattern"], text)), "text"
    )
