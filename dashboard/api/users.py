"""Users, for admins."""

from __future__ import annotations

from flask import Response

from core.errors import InvalidRequest
from core.people import users as people
from core.people.quotas import uses_of
from dashboard.api.account_schemas import (
    NewUserView,
    QuotaView,
    QuotaWanted,
    SignInLink,
    UserChange,
    UserPage,
    UserPath,
    UsersQuery,
    UserView,
    UserWanted,
    quota_view,
    user_view,
)
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.api.schemas import Problem
from dashboard.identity import viewer
from dashboard.permissions import require_admin
from dashboard.services import services

api = api_blueprint("users", "Who may sign in, and as what; for admins.")


@api.get("/users", responses={200: UserPage})
def index(query: UsersQuery) -> Response:
    """Everybody who is known here, by name; for admins."""
    require_admin(viewer())
    with services().database.read() as session:
        found = people.list_people(session, limit=query.limit + 1, after=query.after)
    shown = found[: query.limit]
    return answer(
        UserPage(
            data=[user_view(user) for user in shown],
            next=shown[-1].name if len(found) > query.limit else None,
        )
    )


@api.post("/users", responses={201: NewUserView})
def create(body: UserWanted) -> Response:
    """Add somebody; answers the link by which they come in; for admins."""
    admin = viewer()
    require_admin(admin)
    here = services()
    with here.database.write() as session:
        user, link = people.add_person(session, admin, body.name, body.role, here.settings.public_url)
        view = NewUserView(**user_view(user).model_dump(), link=link)
    return answer(view, 201)


@api.get("/users/<user_id>", responses={200: UserView})
def show(path: UserPath) -> Response:
    """One user; for admins."""
    require_admin(viewer())
    with services().database.read() as session:
        return answer(user_view(people.find_person(session, path.user_id)))


@api.patch("/users/<user_id>", responses={200: UserView, 409: Problem})
def change(path: UserPath, body: UserChange) -> Response:
    """Change a role, disable or enable; never the last admin; for admins."""
    admin = viewer()
    require_admin(admin)
    if body.role is None and body.disabled is None:
        raise InvalidRequest("Say what to change: role, disabled, or both.")
    with services().database.write() as session:
        user = people.find_person(session, path.user_id)
        if body.role is not None:
            user = people.change_role(session, admin, path.user_id, body.role)
        if body.disabled is not None:
            user = people.set_disabled(session, admin, path.user_id, body.disabled)
        view = user_view(user)
    return answer(view)


@api.get("/users/<user_id>/quota", responses={200: QuotaView})
def quota(path: UserPath) -> Response:
    """The limits of somebody, and how far they are used up; for admins."""
    require_admin(viewer())
    with services().database.read() as session:
        return answer(quota_view(uses_of(session, people.find_person(session, path.user_id))))


@api.put("/users/<user_id>/quota", responses={200: QuotaView})
def change_quota(path: UserPath, body: QuotaWanted) -> Response:
    """Give somebody limits; what is left out comes with the role, null is no limit; for admins."""
    admin = viewer()
    require_admin(admin)
    with services().database.write() as session:
        user = people.change_quotas(
            session, admin, path.user_id, body.model_dump(include=body.model_fields_set)
        )
        view = quota_view(uses_of(session, user))
    return answer(view)


@api.post("/users/<user_id>/link", responses={201: SignInLink, 409: Problem})
def link(path: UserPath) -> Response:
    """A new sign-in link for somebody; for admins."""
    admin = viewer()
    require_admin(admin)
    here = services()
    with here.database.write() as session:
        made = people.link_for(session, admin, path.user_id, here.settings.public_url)
    return answer(SignInLink(link=made), 201)
