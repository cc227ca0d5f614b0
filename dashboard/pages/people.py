"""Who may sign in, and as what; for admins."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import Conflict, InvalidRequest
from core.ledger.database import now
from core.ledger.tables import User
from core.people import users as people
from core.people.accounts import Role
from core.people.quotas import Limit, limits_of_role, read_amount, uses_of
from dashboard.identity import viewer
from dashboard.permissions import require_admin
from dashboard.services import services
from dashboard.translation import phrase, said

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
                user = people.change_role(session, admin, user_id, _role())
                flash(phrase("The role of {name} is {role} now.", name=user.name, role=said(user.role)))
            else:
                user = people.set_disabled(session, admin, user_id, action == "disable")
                flash(
                    phrase("{name} is shut out: every session and token has ended.", name=user.name)
                    if user.disabled_at
                    else phrase("{name} may sign in again.", name=user.name)
                )
    except (Conflict, InvalidRequest) as error:
        return _page(admin, refused=error.message), 409 if isinstance(error, Conflict) else 400
    return redirect(url_for("people.index"), 303)


@bp.get("/people/<user_id>/limits")
def limits(user_id: str) -> ResponseReturnValue:
    _admin()
    return _limits(user_id, changed="changed" in request.args)


@bp.post("/people/<user_id>/limits")
def change_limits(user_id: str) -> ResponseReturnValue:
    admin = _admin()
    try:
        quotas = _quotas()
    except InvalidRequest as error:
        return _limits(user_id, refused=error.message), 400
    with services().database.write() as session:
        people.change_quotas(session, admin, user_id, quotas)
    return redirect(url_for("people.limits", user_id=user_id, changed=""), 303)


def _quotas() -> dict[str, int | None]:
    """What the form gives somebody; what is left empty comes with the role."""
    quotas: dict[str, int | None] = {}
    for limit in Limit:
        given = request.form.get(limit.value, "").strip()[:40]
        if given.lower() == "none":
            quotas[limit.value] = None
        elif given:
            try:
                quotas[limit.value] = read_amount(given)
            except ValueError as error:
                raise InvalidRequest(
                    f"{given!r} is no limit. Give a whole number, or none, or leave it empty."
                ) from error
    return quotas


def _limits(user_id: str, *, refused: str | None = None, changed: bool = False) -> str:
    with services().database.read() as session:
        person = people.find_person(session, user_id)
        uses = uses_of(session, person)
        of_role = limits_of_role(session, person.role)
    return render_template(
        "people/limits.html",
        person=person,
        uses=uses,
        of_role=of_role,
        given=request.form if refused else None,
        refused=refused,
        changed=changed,
    )


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
