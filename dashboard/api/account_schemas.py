"""What the routes about users, passwords and tokens take and answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.ledger.tables import Secret, User
from core.people.accounts import Role
from core.people.passwords import LONGEST, SHORTEST
from core.people.quotas import MOST, Use
from core.people.tokens import Scope, scope_name


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    current: str = Field("", max_length=LONGEST, description="Not needed for the first one.")
    new: str = Field(max_length=LONGEST, description=f"{SHORTEST} to {LONGEST} characters.")


class TokenWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120, description="What it is for.")
    scope: Scope = Field(Scope.READ, description="What it may do at most; each holds the ones before it.")
    days: int | None = Field(None, ge=1, le=3650, description="After which it ends; null: never.")


class TokenPath(BaseModel):
    token_id: str = Field(max_length=40)


class TokenView(BaseModel):
    id: str
    name: str
    scope: Scope = Field(description="What it may do in fact, now.")
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = Field(description="Last, to the minute.")


class NewTokenView(TokenView):
    token: str = Field(description="Shown this once.")


class TokenList(BaseModel):
    data: list[TokenView]


class UserPath(BaseModel):
    user_id: str = Field(max_length=40)


class UsersQuery(BaseModel):
    limit: int = Field(100, ge=1, le=200)
    after: str | None = Field(None, max_length=120, description="`next` of the page before.")


class UserWanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    role: Role = Role.SUBMITTER


class UserChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    disabled: bool | None = None


class UserView(BaseModel):
    id: str
    name: str
    role: Literal["viewer", "submitter", "operator", "admin"]
    created_at: datetime
    disabled_at: datetime | None
    locked_until: datetime | None = Field(description="After too many wrong passwords.")
    has_password: bool


class UserPage(BaseModel):
    data: list[UserView]
    next: str | None = Field(description="Send it as `after` for the next page.")


class LimitView(BaseModel):
    limit: str = Field(description="items_at_once, items_a_day, jobs_at_once or stored_bytes.")
    most: int | None = Field(description="null: no limit.")
    used: int | None = Field(description="null where there is no limit, and nothing was counted.")
    own: bool = Field(description="Given by an admin; otherwise it comes with the role.")


class QuotaView(BaseModel):
    data: list[LimitView]


class QuotaWanted(BaseModel):
    """What is left out comes with the role; null is no limit."""

    model_config = ConfigDict(extra="forbid")

    items_at_once: int | None = Field(None, ge=0, le=MOST, description="Recordings that wait or are at work.")
    items_a_day: int | None = Field(
        None, ge=0, le=MOST, description="Recordings in jobs of the last 24 hours."
    )
    jobs_at_once: int | None = Field(None, ge=0, le=MOST, description="Jobs of any kind that have not ended.")
    stored_bytes: int | None = Field(None, ge=0, le=MOST, description="Of recordings.")


class SignInLink(BaseModel):
    link: str = Field(description="Signs its opener in, once, within the hour.")


class NewUserView(UserView):
    link: str = Field(description="Signs them in, once, within the hour.")


def token_view(token: Secret, user: User) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scope=Scope(scope_name(token.scopes, user.role)),
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_at=token.used_at,
    )


def quota_view(uses: Sequence[Use]) -> QuotaView:
    return QuotaView(
        data=[LimitView(limit=use.limit.value, most=use.most, used=use.used, own=use.is_own) for use in uses]
    )


def user_view(user: User) -> UserView:
    return UserView.model_validate(
        {
            "id": user.id,
            "name": user.name,
            "role": user.role,
            "created_at": user.created_at,
            "disabled_at": user.disabled_at,
            "locked_until": user.locked_until,
            "has_password": user.password_hash is not None,
        }
    )
