"""A small OpenID Connect service on loopback: the code flow with PKCE, and every way to get it wrong."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT, SECRET = "faces", "a secret of the client"


@dataclass
class SignInService:
    """Whoever comes to it is `person`, at once; what it says of them can be spoiled."""

    back_to: str
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "1", "preferred_username": "ada"})
    only_userinfo: dict[str, Any] = field(default_factory=dict)
    spoiled: dict[str, Any] = field(default_factory=dict)  # claims that are wrong
    signs_as: str = "itself"  # or a stranger, or by the public key as if it were a shared secret
    denies: bool = False
    issuer: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    _key: RSAKey = field(default_factory=lambda: _key_of("the service"))

    def app(self) -> Flask:
        app = Flask("sign_in_service")
        app.add_url_rule("/.well-known/openid-configuration", "about", self._about)
        app.add_url_rule("/authorize", "authorize", self._authorize)
        app.add_url_rule("/token", "token", self._token, methods=["POST"])
        app.add_url_rule("/keys", "keys", lambda: jsonify({"keys": [self._key.as_dict(private=False)]}))
        app.add_url_rule("/userinfo", "userinfo", self._userinfo)
        return app

    def _about(self) -> Response:
        return jsonify(
            {
                "issuer": self.spoiled.get("issuer", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            }
        )

    def _authorize(self) -> ResponseReturnValue:
        asked = request.args.to_dict()
        self.asked.append(asked)
        good = (
            asked["client_id"] == CLIENT
            and asked["redirect_uri"] == self.back_to
            and asked["response_type"] == "code"
            and "openid" in asked["scope"].split()
            and asked["code_challenge_method"] == "S256"
            and len(asked["nonce"]) >= 20
        )
        if not good:
            return "bad request", 400
        if self.denies:
            told = {"error": "access_denied", "state": asked["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            told = {"code": code, "state": asked["state"]}
        return redirect(f"{self.back_to}?{urlencode(told)}")

    def _token(self) -> ResponseReturnValue:
        sent = request.form
        asked = self.codes.pop(sent["code"], None)
        who = request.authorization
        challenge = _base64(hashlib.sha256(sent["code_verifier"].encode()).digest())
        good = (
            asked is not None
            and who is not None
            and (who.username, who.password) == (CLIENT, SECRET)
            and sent["grant_type"] == "authorization_code"
            and sent["redirect_uri"] == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        if not good or asked is None:
            return jsonify(error="invalid_grant"), 400
        return jsonify(
            access_token="of no use here",
            token_type="Bearer",
            expires_in=60,
            **({} if "id_token" in self.spoiled else {"id_token": self._id_token(asked["nonce"])}),
        )

    def _id_token(self, nonce: str) -> str:
        at = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "nonce": nonce, "iat": at, "exp": at + 60, **self.person}
        claims.update({name: value for name, value in self.spoiled.items() if name in claims})
        if self.signs_as == "a stranger":
            return jwt.encode({"alg": "RS256"}, claims, _key_of("a stranger"))
        if self.signs_as == "nobody":
            parts = [{"alg": "none"}, claims]
            return ".".join(_packed(part) for part in parts) + "."
        if self.signs_as == "its public key":
            said = ".".join(_packed(part) for part in ({"alg": "HS256", "kid": "one"}, claims))
            shared = self._key.as_pem(private=False)
            return f"{said}.{_base64(hmac.digest(shared, said.encode(), 'sha256'))}"
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)

    def _userinfo(self) -> Response:
        return jsonify({"sub": self.person["sub"], **self.only_userinfo})


@functools.cache
def _key_of(owner: str) -> RSAKey:
    """Made once: it takes a tenth of a second, and nothing hangs on which it is."""
    return RSAKey.generate_key(2048, {"kid": "one"})


def _packed(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def serving(service: SignInService) -> Iterator[SignInService]:
    """Runs it on a port of its own."""
    server = make_server("127.0.0.1", 0, service.app(), threaded=True, request_handler=_Quiet)
    service.issuer = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
