"""How people reach the dashboard: its name, its proxy, and the key that signs their sessions."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from core.config import Settings
from core.doctor.findings import Finding
from core.watching.presence import Presence

PART = "addresses"
SHORTEST_KEY = 32
# A random key of 32 hexadecimal digits has about 14 different ones; a phrase that was repeated has few.
_FEWEST_DIFFERENT = 8
_FROM_EXAMPLES = (
    "change",
    "secret",
    "example",
    "default",
    "password",
    "test",
    "insecure",
    "dev-key",
    "0123456789",
)


def look(settings: Settings) -> list[Finding]:
    """What the settings themselves say."""
    found = []
    public = urlsplit(settings.public_url)
    host = public.hostname or ""
    if public.scheme not in ("http", "https") or not host:
        says = f"VOICESKETCH_PUBLIC_URL is {settings.public_url}, which is no address of a web page."
        found.append(Finding("public_url_unusable", PART, says, "Write it as https://faces.example.org."))
    elif not _is_trusted(host, settings.trusted_hosts):
        says = f"VOICESKETCH_PUBLIC_URL names {host}, which VOICESKETCH_TRUSTED_HOSTS does not: it answers 400 there."
        found.append(
            Finding("public_url_not_trusted", PART, says, f"Add {host} to VOICESKETCH_TRUSTED_HOSTS.")
        )
    if host and not _is_here(host):
        if public.scheme == "http":
            says = (
                f"VOICESKETCH_PUBLIC_URL begins with http: all that is sent to {host} can be read on the way."
            )
            do = "Put a proxy that speaks TLS before it, and write https:// (docs/deployment.md)."
            found.append(Finding("public_url_without_tls", PART, says, do, "warning"))
        elif public.scheme == "https" and not settings.trusted_proxies:
            says = (
                "TLS ends at a proxy, and VOICESKETCH_TRUSTED_PROXIES is 0: everybody counts as one address."
            )
            do = "Set it to the number of proxies before the dashboard, mostly 1."
            found.append(Finding("proxy_not_trusted", PART, says, do))
    return found + secret_key(settings.secret_key.get_secret_value())


def secret_key(key: str) -> list[Finding]:
    """Whether the key is one that nobody can guess."""
    do = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'. All dashboards need the same."
    key = key.strip().splitlines()[0] if key.strip() else ""  # the first one signs
    if len(key) < SHORTEST_KEY:
        says = f"VOICESKETCH_SECRET_KEY is {'empty' if not key else 'too short'}; the dashboard does not start with it."
        return [Finding("secret_key_short", PART, says, do)]
    if len(set(key)) < _FEWEST_DIFFERENT or any(word in key.lower() for word in _FROM_EXAMPLES):
        says = (
            "VOICESKETCH_SECRET_KEY looks like one of an example: whoever guesses it can sign in as anybody."
        )
        return [Finding("secret_key_guessable", PART, says, do)]
    return []


def same_keys(others: list[Presence]) -> list[Finding]:
    """Whether all dashboards sign with the same key."""
    keys = {one.key: one.host for one in others if one.part == "dashboard"}
    if len(keys) < 2:
        return []
    hosts = ", ".join(sorted(keys.values()))
    says = f"The dashboards on {hosts} have different secret keys: people are signed out at random."
    return [Finding("secret_keys_differ", PART, says, "Give all of them the same VOICESKETCH_SECRET_KEY.")]


def _is_trusted(host: str, trusted: str) -> bool:
    """As Flask reads the list: a name that begins with a dot stands for all below it."""
    for name in (one.strip().lower().rsplit(":", 1)[0] for one in trusted.split(",") if one.strip()):
        if host == name.lstrip(".") or (name.startswith(".") and host.endswith(name)):
            return True
    return False


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
