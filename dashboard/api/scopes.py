"""The least scope that a token needs for each route, for the description of the API.

What may be done is judged where it is done (`dashboard/permissions.py`); a test holds this to it, by asking. One thing
is judged by this file: a token that only reads gets no further than to what is read, and to what is only asked for.
"""

from __future__ import annotations

_OPERATE = frozenset(
    {
        "POST /aliases/{alias}/rollback",
        "POST /analyses",
        "GET /audit",
        "POST /evaluations",
        "GET /health",
        "POST /jobs/{job_id}/again",
        "POST /models",
        "PUT /models/files",
        "POST /models/pairs",
        "DELETE /models/{label}",
        "POST /models/{label}/promote",
        "GET /retention",
        "GET /retention/preview",
        "POST /schedules",
        "DELETE /schedules/{name}",
        "PATCH /schedules/{name}",
        "POST /schedules/{name}/pause",
        "POST /schedules/{name}/resume",
        "POST /schedules/{name}/run",
        "POST /schedules/{name}/runs/{run_id}/cancel",
        "POST /schedules/{name}/secret",
        "GET /storage",
        "POST /trainings",
        "POST /workers/{worker_id}/drain",
        "POST /workers/{worker_id}/undrain",
    }
)
_ADMIN = frozenset(
    {
        "PUT /retention/{kind}",
        "DELETE /retention/{kind}",
        "POST /retention/purge",
        "GET /users",
        "POST /users",
        "GET /users/{user_id}",
        "PATCH /users/{user_id}",
        "GET /users/{user_id}/quota",
        "PUT /users/{user_id}/quota",
        "POST /users/{user_id}/link",
    }
)


# POST for the length of what is asked, and not for a change; an erasure is a dry run unless it says otherwise.
_ASKING = frozenset(
    {
        "POST /jobs/{job_id}/contact-sheet.pdf",
        "POST /jobs/{job_id}/faces.zip",
        "POST /manifests/check",
        "POST /recordings/check",
        "POST /schedules/preview",
        "POST /trainings/check",
        "POST /erasure",
    }
)
# These refuse what would change something themselves.
_ASKING_WHEN_DRY = frozenset({"POST /jobs/{job_id}/rerun"})


def may_only_ask(method: str, path: str) -> bool:
    """Whether a token that only reads comes as far as the route; the path as of `least_scope`."""
    return f"{method.upper()} {path}" in _ASKING | _ASKING_WHEN_DRY


def least_scope(method: str, path: str) -> str:
    """`read`, `submit`, `operate` or `admin`; the path is the one below `/api/v1`, with names in braces."""
    route = f"{method.upper()} {path}"
    if route in _ADMIN:
        return "admin"
    if route in _OPERATE:
        return "operate"
    return "read" if method.upper() == "GET" or route in _ASKING else "submit"
