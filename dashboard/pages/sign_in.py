"""Signing in by a one-time link or by a password, and out.

Opening the link shows a button; only pressing it uses the link up. Mail programs and chats open links to preview
them, and would otherwise sign nobody in and leave a dead link.
"""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.accounts import redeem_sign_in_link
from core.errors import NotAllowed
from core.passwords import sign_in_by_password
from dashboard import identity
from dashboard.services import services

bp = Blueprint("sign_in", __name__)


@bp.get("/sign-in")
def ask() -> ResponseReturnValue:
    if identity.viewer_or_none() is not None:
        return redirect(url_for("job_list.show"), 303)
    return render_template("sign_in/ask.html")


@bp.post("/sign-in")
def by_password() -> ResponseReturnValue:
    name = request.form.get("name", "").strip()
    try:
        user = sign_in_by_password(services().database, name, request.form.get("password", ""))
    except NotAllowed as error:
        return render_template("sign_in/ask.html", refused=error.message, name=name), 403
    identity.sign_in(user, "password")
    return redirect(url_for("job_list.show"), 303)


@bp.get("/sign-in/<secret>")
def confirm(secret: str) -> ResponseReturnValue:
    return render_template("sign_in/confirm.html", secret=secret)


@bp.post("/sign-in/<secret>")
def redeem(secret: str) -> ResponseReturnValue:
    try:
        with services().database.write() as session:
            user = redeem_sign_in_link(session, secret)
    except NotAllowed as error:
        return render_template("sign_in/ask.html", refused=error.message), 403
    identity.sign_in(user, "link")
    return redirect(url_for("job_list.show"), 303)


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    identity.sign_out()
    return redirect(url_for("sign_in.ask"), 303)
