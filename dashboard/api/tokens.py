"""One's own tokens, one's password, and the end of one's sessions."""

from __future__ import annotations

from flask import Response

from core.errors import NotAllowed
from core.ledger.tables import User
from core.people.audit import record
from core.people.passwords import end_sessions, is_password_of, set_password
from core.people.tokens import list_tokens, new_token, revoke_token
from dashboard import identity
from dashboard.api.account_schemas import (
    NewTokenView,
    PasswordChange,
    TokenList,
    TokenPath,
    TokenView,
    TokenWanted,
    token_view,
)
from dashboard.api.blueprint import answer, api_blueprint
from dashboard.identity import viewer
from dashboard.permissions import reach
from dashboard.services import services

api = api_blueprint("tokens", "Your tokens, your password, and the end of your sessions.")


@api.get("/tokens", responses={200: TokenList})
def index() -> Response:
    """Your tokens that still work, newest first."""
    user = viewer()
    with services().database.read() as session:
        data = [token_view(token, user) for token in list_tokens(session, user)]
    return answer(TokenList(data=data))


@api.post("/tokens", responses={201: NewTokenView})
def create(body: TokenWanted) -> Response:
    """Issue a token of yours. A token issues none that may more, or lasts longer, than itself."""
    user = viewer()
    with services().database.write() as session:
        plain, token = new_token(
            session,
            user,
            body.name,
            body.scope,
            ceiling=reach(user),
            days=body.days,
            until=identity.token_until(),
        )
        view = NewTokenView(**token_view(token, user).model_dump(), token=plain)
    return answer(view, 201)


@api.delete("/tokens/<token_id>", responses={200: TokenView})
def revoke(path: TokenPath) -> Response:
    """Revoke a token of yours, at once."""
    user = viewer()
    with services().database.write() as session:
        view = token_view(revoke_token(session, user, path.token_id), user)
    return answer(view)


@api.put("/account/password", responses={204: None})
def put_password(body: PasswordChange) -> Response:
    """Set or change your password; ends all your sessions but this one."""
    change_password(viewer(), body.current, body.new)
    return Response(status=204)


@api.post("/account/sessions/end", responses={204: None})
def end() -> Response:
    """Sign out everywhere, here too. Tokens go on working."""
    end_sessions(services().database, viewer())
    return Response(status=204)


def change_password(user: User, current: str, new: str) -> None:
    """What the page and the route do.

    Raises:
        NotAllowed: the current password is wrong.
        InvalidRequest: the new one will not do.
    """
    database = services().database
    if reach(user) < identity.role_reach(user):
        raise NotAllowed("A token with a narrower scope than your role cannot change your password.")
    if (
        user.password_hash is not None
        and not identity.came_by_link()
        and not is_password_of(database, user, current)
    ):
        raise NotAllowed("The current password is wrong, or there were too many wrong tries.")
    at = set_password(database, user, new)
    with database.write() as session:
        record(session, actor=user.id, action="user.password", subject=user.id, details={"name": user.name})
    identity.renew(user, at)
