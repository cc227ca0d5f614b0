"""Who is asking."""

from __future__ import annotations

from flask import Response

from core.people.quotas import uses_of
from dashboard.api.account_schemas import QuotaView, quota_view
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Me
from dashboard.identity import viewer
from dashboard.permissions import may_change_models, may_submit
from dashboard.services import services

api = api_blueprint("account", "You, and the limits you work under.")


@api.get("/me", responses={200: Me})
def me() -> Response:
    """You, and the limits you work under."""
    user, settings = viewer(), services().settings
    return answer(
        Me(
            id=user.id,
            name=user.name,
            role=user.role,
            may_submit=may_submit(user),
            may_change_models=may_change_models(user),
            max_upload_bytes=settings.max_upload_bytes,
            max_model_bytes=settings.max_model_bytes,
            max_items_per_job=settings.max_items_per_job,
        )
    )


@api.get("/me/quota", responses={200: QuotaView})
def quota() -> Response:
    """Your limits, and how far they are used up."""
    with services().database.read() as session:
        return answer(quota_view(uses_of(session, viewer())))
