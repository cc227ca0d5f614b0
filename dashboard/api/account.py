"""Who is asking, and which models there are."""

from __future__ import annotations

from flask import Response

from core.queries import list_models
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Me, ModelList, ModelView
from dashboard.identity import viewer
from dashboard.permissions import may_submit
from dashboard.services import services

api = api_blueprint("account", "You, and what you can choose from.")


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
            max_upload_bytes=settings.max_upload_bytes,
            max_items_per_job=settings.max_items_per_job,
        )
    )


@api.get("/models", responses={200: ModelList})
def models() -> Response:
    """Every model version, newest first."""
    with services().database.read() as session:
        data = [
            ModelView(
                label=model.label,
                name=model.name,
                version=model.version,
                aliases=aliases,
                created_at=model.created_at,
            )
            for model, aliases in list_models(session)
        ]
    return answer(ModelList(data=data))
