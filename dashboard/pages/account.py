"""Your own account: password, sessions, tokens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from core.errors import InvalidRequest, NotAllowed
from core.people.passwords import end_sessions
from core.people.quotas import uses_of
from core.people.tokens import Scope, list_tokens, new_token, revoke_token
from dashboard import identity
from dashboard.api.account_schemas import token_view
from dashboard.api.tokens import change_password
from dashboard.identity import viewer
from dashboard.permissions import reach
from dashboard.services import services
from dashboard.translation import phrase

bp = Blueprint("account_page", __name__)

_LIVES = (7, 30, 90, 365)


@bp.get("/account")
def show() -> ResponseReturnValue:
    return _page(said="Your password is changed." if "changed" in request.args else None)


@bp.post("/account/password")
def password() -> ResponseReturnValue:
    new = request.form.get("new", "")
    try:
        if new != request.form.get("again", ""):
            raise InvalidRequest("The two new passwords are not the same.")
        change_password(viewer(), request.form.get("current", ""), new)
    except (InvalidRequest, NotAllowed) as error:
        return _page(refused=error.message), 400
    return redirect(url_for("account_page.show", changed=""), 303)


@bp.post("/account/sessions/end")
def end() -> ResponseReturnValue:
    end_sessions(services().database, viewer())
    identity.sign_out()
    return redirect(url_for("sign_in.ask"), 303)


@bp.post("/account/tokens")
def add_token() -> ResponseReturnValue:
    user = viewer()
    try:
        scope = Scope(request.form.get("scope", ""))
        with services().database.write() as session:
            plain, _ = new_token(
                session,
                user,
                request.form.get("name", ""),
                scope,
                ceiling=reach(user),
                days=_days(),
                until=identity.token_until(),
            )
    except (InvalidRequest, NotAllowed) as error:
        return _page(refused=error.message), 400
    except ValueError:
        return _page(refused="There is no such scope."), 400
    return _page(token=plain)


@bp.post("/account/tokens/<token_id>/revoke")
def revoke(token_id: str) -> ResponseReturnValue:
    with services().database.write() as session:
        token = revoke_token(session, viewer(), token_id)
    flash(phrase("The token {name} is revoked: no script gets in by it any more.", name=token.name))
    return redirect(url_for("account_page.show"), 303)


def _days() -> int | None:
    """After how many days a new token ends; None for never."""
    days = request.form.get("days", "")
    if days not in ("", *map(str, _LIVES)):
        raise InvalidRequest(f"A token ends after {', '.join(map(str, _LIVES))} days, or never.")
    return int(days) if days else None


def _page(*, said: str | None = None, refused: str | None = None, token: str | None = None) -> str:
    user = viewer()
    with services().database.read() as session:
        tokens = [token_view(one, user) for one in list_tokens(session, user)]
        uses = uses_of(session, user)
    return render_template(
        "account/account.html",
        user=user,
        tokens=tokens,
        uses=[use for use in uses if use.most is not None],
        scopes=[scope.value for scope in list(Scope)[: reach(user) + 1]],
        lives=_LIVES,
        asks_current=user.password_hash is not None and not identity.came_by_link(),
        said=said,
        refused=refused,
        token=token,
    )
