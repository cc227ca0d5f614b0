"""Signing in by a one-time link, a password or a sign-in service, and out.

Opening the link shows a button; only pressing it uses the link up. Mail programs and chats open links to preview
them, and would otherwise sign nobody in and leave a dead link.
"""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import NotAllowed, NotFound, ServiceUnreachable
from core.ledger.tables import User
from core.people.accounts import redeem_sign_in_link
from core.people.passwords import sign_in_by_password
from dashboard import identity, oidc, way_back
from dashboard.security import forget_copies
from dashboard.services import services

bp = Blueprint("sign_in", __name__)


@bp.get("/sign-in")
def ask() -> ResponseReturnValue:
    wanted = way_back.checked(request.args.get("next"))
    if identity.viewer_or_none() is not None:
        return redirect(way_back.leading(wanted), 303)
    way_back.keep(wanted)
    return _page(wanted=wanted)


@bp.post("/sign-in")
def by_password() -> ResponseReturnValue:
    name = request.form.get("name", "").strip()
    wanted = way_back.checked(request.form.get("next"))
    try:
        user = sign_in_by_password(services().database, name, request.form.get("password", ""))
    except NotAllowed as error:
        return _page(error.message, name, wanted), 403
    identity.sign_in(user, "password")
    return redirect(way_back.leading(wanted), 303)


@bp.get("/sign-in/provider")
def go_to_provider() -> ResponseReturnValue:
    """A link and no form: the policy of our pages lets no form lead elsewhere, not even by a redirect."""
    try:
        return _provider().begin()
    except ServiceUnreachable as error:
        return _page(error.message), 503


@bp.get("/sign-in/provider/back")
def come_back() -> ResponseReturnValue:
    try:
        user = _provider().finish(services().database)
    except NotAllowed as error:
        return _page(error.message), 403
    except ServiceUnreachable as error:
        return _page(error.message), 503
    return _let_in(user, "provider")


@bp.get("/sign-in/<secret>")
def confirm(secret: str) -> ResponseReturnValue:
    return render_template("sign_in/confirm.html", secret=secret)


@bp.post("/sign-in/<secret>")
def redeem(secret: str) -> ResponseReturnValue:
    try:
        with services().database.write() as session:
            user = redeem_sign_in_link(session, secret)
    except NotAllowed as error:
        return _page(error.message), 403
    return _let_in(user, "link")


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    identity.sign_out()
    # Whoever uses this browser next must not find them in it.
    return forget_copies(make_response(redirect(url_for("sign_in.ask"), 303)))


def _let_in(user: User, by: str) -> ResponseReturnValue:
    wanted = way_back.kept()  # the new session knows nothing of the old one
    identity.sign_in(user, by)
    return redirect(way_back.leading(wanted), 303)


def _provider() -> oidc.Provider:
    provider = oidc.provider()
    if provider is None:
        raise NotFound("There is no sign-in service here.")
    return provider


def _page(refused: str | None = None, name: str = "", wanted: str | None = None) -> str:
    return render_template(
        "sign_in/ask.html",
        refused=refused,
        name=name,
        wanted=wanted or way_back.kept(),
        unsent=refused is None and "unsent" in request.args,
        provider=oidc.provider_title(),
    )
