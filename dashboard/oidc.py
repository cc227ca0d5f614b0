"""Signing in by an OpenID Connect service: the code flow with PKCE, state and nonce.

The service only says who somebody is, and perhaps of which groups; sessions, tokens and roles are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError
from sqlalchemy.exc import IntegrityError

from core.config import Settings
from core.errors import InvalidSettings, NotAllowed, ServiceUnreachable
from core.ledger.database import Database
from core.ledger.tables import User
from core.people.accounts import Role
from core.people.tokens import role_level
from core.people.users import admit
from dashboard.bind import is_loopback

_NAME = "voicesketch_oidc"
_PATIENCE_SECONDS = 10
# A service could otherwise offer `none`, or have its public key taken for a shared secret.
_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
_NOBODY = "nobody"
_log = structlog.get_logger()


@dataclass(frozen=True)
class Provider:
    """A sign-in service, and what its words about people mean here."""

    client: Any  # of Authlib, which has no types
    title: str
    issuer: str
    back_to: str
    role_claim: str
    roles: Mapping[str, Role]  # by value of the claim; empty: admins decide
    new_role: Role | None

    def begin(self) -> ResponseReturnValue:
        """Sends a browser to the service.

        Raises:
            ServiceUnreachable: the service does not answer, or is another one than it should be.
        """
        self._load()
        try:
            leaving: ResponseReturnValue = self.client.authorize_redirect(self.back_to)
        except (AuthlibBaseError, RuntimeError) as error:
            raise self._away(error) from error
        return leaving

    def finish(self, database: Database) -> User:
        """Who came back from the service, in a request of this very browser.

        Raises:
            NotAllowed: the service refused them, what they brought is not from it, or they have no role here.
            ServiceUnreachable: the service does not answer.
        """
        metadata = self._load()
        if request.args.get("iss", metadata["issuer"]) != metadata["issuer"]:
            raise _refused("another issuer")
        try:
            token = self.client.authorize_access_token()
            claims = dict(token.get("userinfo") or {})
            if not claims.get("sub"):
                raise _refused("no id token")
            if self.role_claim not in claims and metadata.get("userinfo_endpoint"):
                # Without its end: a token that lasts a minute only would count as over already.
                bare = {name: token[name] for name in ("access_token", "token_type")}
                more = self.client.userinfo(token=bare)
                # Only of the same person: see section 5.3.2 of OpenID Connect Core.
                claims = {**more, **claims} if more.get("sub") == claims["sub"] else claims
        except requests.RequestException as error:
            raise self._away(error) from error
        except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused(type(error).__name__) from error
        try:
            return self._admit(database, claims)
        except IntegrityError:
            # The same person came in twice at once, or took the same name; now they are found.
            return self._admit(database, claims)

    def _admit(self, database: Database, claims: Mapping[str, Any]) -> User:
        with database.write() as session:
            return admit(
                session,
                issuer=self.issuer,
                subject=str(claims["sub"]),
                names=[
                    str(claims[name]) for name in ("preferred_username", "email", "name") if claims.get(name)
                ],
                role=self._role(claims.get(self.role_claim)),
                keeps_role=not self.roles,
            )

    def _role(self, said: object) -> Role | None:
        """The farthest role that a claim gives: one word, or a list of them."""
        words: Iterable[object] = said if isinstance(said, list) else [said]
        found = [self.roles[word] for word in words if isinstance(word, str) and word in self.roles]
        return max(found, key=lambda role: role_level(role.value), default=self.new_role)

    def _load(self) -> dict[str, Any]:
        try:
            metadata: dict[str, Any] = self.client.load_server_metadata()
        except (requests.RequestException, json.JSONDecodeError, AuthlibBaseError) as error:
            raise self._away(error) from error
        if metadata.get("issuer") != self.issuer:
            raise self._away(ValueError("it calls itself otherwise"))
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [one for one in offered if one in _ALGORITHMS]
        return metadata

    def _away(self, error: Exception) -> ServiceUnreachable:
        _log.warning("the sign-in service is of no use", issuer=self.issuer, reason=repr(error)[:300])
        return ServiceUnreachable(
            "The sign-in service does not answer. Sign in by password or link, or try again."
        )


def attach(app: Flask, settings: Settings) -> None:
    """Makes the service known, where the settings name one.

    Raises:
        InvalidSettings: what the settings say about it cannot be used.
    """
    app.extensions[_NAME] = _provider(app, settings) if settings.oidc_issuer else None


def provider() -> Provider | None:
    """The sign-in service of the app that answers this request."""
    found: Provider | None = current_app.extensions[_NAME]
    return found


def provider_title() -> str | None:
    """What the button of the sign-in page says; None where there is no service."""
    found = provider()
    return found.title if found is not None else None


def _provider(app: Flask, settings: Settings) -> Provider:
    issuer = settings.oidc_issuer or ""
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "-")):
        raise InvalidSettings("VOICESKETCH_OIDC_ISSUER must be an address that begins with https://.")
    if not settings.oidc_client_id:
        raise InvalidSettings("VOICESKETCH_OIDC_CLIENT_ID is missing: the sign-in service gives it to you.")
    secret = settings.oidc_client_secret
    client = OAuth(app).register(
        _NAME,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            "default_timeout": _PATIENCE_SECONDS,
        },
    )
    return Provider(
        client=client,
        title=settings.oidc_title,
        issuer=issuer,
        back_to=f"{settings.public_url.rstrip('/')}/sign-in/provider/back",
        role_claim=settings.oidc_role_claim,
        roles=_roles(settings.oidc_roles),
        new_role=None
        if settings.oidc_new_role == _NOBODY
        else _role_named(settings.oidc_new_role, "OIDC_NEW_ROLE"),
    )


def _roles(written: str) -> dict[str, Role]:
    pairs = [pair.rpartition("=") for pair in written.split(",") if pair.strip()]
    if any(not value.strip() for value, _, _ in pairs):
        raise InvalidSettings("VOICESKETCH_OIDC_ROLES must read like staff=submitter,vision-team=operator.")
    return {value.strip(): _role_named(role.strip(), "OIDC_ROLES") for value, _, role in pairs}


def _role_named(name: str, setting: str) -> Role:
    try:
        return Role(name)
    except ValueError as error:
        raise InvalidSettings(
            f"VOICESKETCH_{setting} names a role {name!r}; there are {', '.join(Role)}."
        ) from error


def _refused(why: str) -> NotAllowed:
    _log.warning("a sign-in by the service was refused", reason=why)
    return NotAllowed("Signing in by the service did not work. Begin again from this page.")
