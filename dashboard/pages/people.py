"""Who may sign in, and as what; for admins."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core import people
from core.accounts import Role
from core.database import now
from core.errors import Conflict, InvalidRequest
from core.tables import User
from dashboard.identity import viewer
from dashboard.permissions import require_admin
from dashboard.services import services

bp = Blueprint("people", __name__)

_AT_ONCE = 100


@bp.get("/people")
def index() -> ResponseReturnValue:
    return _page(_admin())


@bp.post("/people")
def add() -> ResponseReturnValue:
    admin, here = _admin(), services()
    try:
        with here.database.write() as session:
            user, link = people.add_person(
                session, admin, request.form.get("name", ""), _role(), here.settings.public_url
            )
    except InvalidRequest as error:
        return _page(admin, refused=error.message), 400
    return _page(admin, link=link, link_of=user.name)


@bp.post("/people/<user_id>/<any(link, role, disable, enable):action>")
def change(user_id: str, action: str) -> ResponseReturnValue:
    admin, here = _admin(), services()
    try:
        with here.database.write() as session:
            if action == "link":
                link = people.link_for(session, admin, user_id, here.settings.public_url)
                return _page(admin, link=link, link_of=people.find_person(session, user_id).name)
            if action == "role":
                people.change_role(session, admin, user_id, _role())
            else:
                people.set_disabled(session, admin, user_id, action == "disable")
    except (Conflict, InvalidRequest) as error:
        return _page(admin, refused=error.message), 409 if isinstance(error, Conflict) else 400
    return redirect(url_for("people.index"), 303)


def _admin() -> User:
    admin = viewer()
    require_admin(admin)
    return admin


def _role() -> Role:
    try:
        return Role(request.form.get("role", ""))
    except ValueError as error:
        raise InvalidRequest(f"Take one of these roles: {', '.join(Role)}.") from error


def _page(admin: User, *, refused: str | None = None, link: str | None = None, link_of: str = "") -> str:
    with services().database.read() as session:
        found = people.list_people(session, limit=_AT_ONCE + 1, after=request.args.get("after"))
        at = now(session)
    shown = found[:_AT_ONCE]
    return render_template(
        "people/list.html",
        admin=admin,
        people=shown,
        now=at,
        next=shown[-1].name if len(found) > _AT_ONCE else None,
        roles=[role.value for role in Role],
        refused=refused,
        link=link,
        link_of=link_of,
    )
