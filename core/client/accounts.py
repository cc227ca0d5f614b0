"""What scripts ask of their own account, and administrators of everybody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.client import answers
from core.client.asking import Asking, place


class Accounts(Asking):
    def me(self) -> answers.Me:
        """Who asks, what they may do, and the limits they work under."""
        return self._read(answers.Me, "GET", place("me"))

    def tokens(self) -> list[answers.TokenView]:
        """One's tokens that still work, newest first."""
        return self._read(answers.TokenList, "GET", place("tokens"))["data"]

    def make_token(self, name: str, *, scope: str = "read", days: int | None = None) -> answers.NewTokenView:
        """A new one; its text, `token`, is answered this once."""
        body = {"name": name, "scope": scope, "days": days}
        return self._read(answers.NewTokenView, "POST", place("tokens"), json=body, once=True)

    def revoke_token(self, token_id: str) -> answers.TokenView:
        """Ends a token of one's own, at once."""
        return self._read(answers.TokenView, "DELETE", place("tokens", token_id))

    def change_password(self, current: str, new: str) -> None:
        """Ends all of one's sessions; tokens go on working."""
        body = {"current": current, "new": new}
        self._ask("PUT", place("account", "password"), json=body, once=True).close()

    def end_sessions(self) -> None:
        """Signs one out everywhere."""
        self._ask("POST", place("account", "sessions", "end")).close()

    def users(self, *, limit: int = 10_000) -> Iterator[answers.UserView]:
        """Everybody, by name."""
        return self._rows(place("users"), limit, cursor="after")

    def user(self, user_id: str) -> answers.UserView:
        return self._read(answers.UserView, "GET", place("users", user_id))

    def create_user(self, name: str, role: str) -> answers.NewUserView:
        """Adds somebody; `link` of the answer is how they come in, once, within the hour."""
        body = {"name": name, "role": role}
        return self._read(answers.NewUserView, "POST", place("users"), json=body, once=True)

    def change_user(
        self, user_id: str, *, role: str | None = None, disabled: bool | None = None
    ) -> answers.UserView:
        """Changes what is given."""
        change: dict[str, Any] = {} if role is None else {"role": role}
        change |= {} if disabled is None else {"disabled": disabled}
        return self._read(answers.UserView, "PATCH", place("users", user_id), json=change)

    def quota(self, user_id: str | None = None) -> list[answers.LimitView]:
        """One's own limits with what is used of them, or, for admins, those of somebody."""
        path = place("me", "quota") if user_id is None else place("users", user_id, "quota")
        return self._read(answers.QuotaView, "GET", path)["data"]

    def set_quota(self, user_id: str, limits: Mapping[str, int | None]) -> list[answers.LimitView]:
        """Gives somebody limits: what is not named comes with the role, None is no limit."""
        path = place("users", user_id, "quota")
        return self._read(answers.QuotaView, "PUT", path, json=dict(limits))["data"]

    def sign_in_link(self, user_id: str) -> str:
        """A new sign-in link for somebody."""
        path = place("users", user_id, "link")
        return self._read(answers.SignInLink, "POST", path, once=True)["link"]

    def audit(self, *, limit: int = 50, subject: str | None = None) -> Iterator[answers.AuditEntryView]:
        """Every change that others rely on, newest first, or those of one subject."""
        return self._rows(place("audit"), limit, subject=subject)
