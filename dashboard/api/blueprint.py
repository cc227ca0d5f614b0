"""How every blueprint of the API is made, and how its answers are written."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from core.errors import InvalidRequest
from dashboard.api.schemas import Problem

State = TypeVar("State", bound=StrEnum)

PREFIX = "/api/v1"
_PROBLEMS: dict[str | int | HTTPStatus, Any] = {str(status): Problem for status in (400, 401, 403, 404)}


def api_blueprint(name: str, about: str) -> APIBlueprint:
    return APIBlueprint(
        name,
        __name__,
        url_prefix=PREFIX,
        abp_tags=[Tag(name=name, description=about)],
        abp_security=[{"token": []}, {"cookie": []}],
        abp_responses=_PROBLEMS,
    )


def answer(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, mimetype="application/json")


def parse_states(kind: type[State], given: str | None) -> list[State]:
    """The states of a comma-separated list.

    Raises:
        InvalidRequest: one of them is none.
    """
    try:
        return [kind(word.strip()) for word in (given or "").split(",") if word.strip()]
    except ValueError as error:
        known = ", ".join(state.value for state in kind)
        raise InvalidRequest(f"{error}. There are: {known}.") from error
