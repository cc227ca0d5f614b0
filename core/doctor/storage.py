"""The object store: whether it is there, takes our key, has our bucket, and shows nothing to strangers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests

from core.config import Settings
from core.doctor.findings import Finding
from core.errors import StorageUnavailable
from core.store import Store

PART = "object store"
_PATIENCE_SECONDS = 5.0
MOST_SKEW_SECONDS = 60.0  # it refuses what is signed more than 15 minutes off
_WRONG_KEY = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidAccessKey",
    "AuthorizationHeaderMalformed",
)


def look(settings: Settings) -> list[Finding]:
    """Asks as a stranger first, then with our key."""
    found, reached = _as_a_stranger(settings)
    return found + (_with_our_key(settings) if reached else [])


def _as_a_stranger(settings: Settings) -> tuple[list[Finding], bool]:
    base = settings.s3_endpoint_url or f"https://s3.{settings.s3_region}.amazonaws.com"
    try:
        with requests.Session() as session:
            session.trust_env = False  # the process that works asks it directly, too
            answer = session.get(
                f"{base.rstrip('/')}/{settings.s3_bucket}?list-type=2&max-keys=1",
                timeout=_PATIENCE_SECONDS,
                allow_redirects=False,
            )
    except (requests.RequestException, ValueError):
        do = "See that the S3 service runs there and that VOICESKETCH_S3_ENDPOINT_URL names it, with http or https."
        return [Finding("store_unreachable", PART, f"Nobody answers at {base}.", do)], False
    found = []
    if answer.status_code == HTTPStatus.OK and "ListBucketResult" in answer.text:
        says = f"Everybody can list the bucket {settings.s3_bucket}: it holds people's voices and faces."
        do = "Take away its public policy or ACL, and look at the store's log for who has read it."
        found.append(Finding("bucket_public", PART, says, do))
    return found + skew(answer.headers.get("Date"), datetime.now(UTC)), True


def skew(date: str | None, here: datetime) -> list[Finding]:
    """Args:
    date: as the store's answers have it.
    """
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return []
    off = abs((there - here).total_seconds())
    if off <= MOST_SKEW_SECONDS:
        return []
    says = f"This machine and the store differ by {off:,.0f} s; from 15 minutes on it refuses every request."
    return [Finding("store_clock_off", PART, says, "Set both by a time server (chrony, systemd-timesyncd).")]


def _with_our_key(settings: Settings) -> list[Finding]:
    try:
        code = Store(settings).refusal()
    except StorageUnavailable as error:
        do = "See that VOICESKETCH_S3_ENDPOINT_URL names an S3 service."
        return [
            Finding(
                "store_unreachable",
                PART,
                f"It is no S3 service, or no answer came: {error.message[:200]}.",
                do,
            )
        ]
    bucket = settings.s3_bucket
    if code is None:
        return []
    if code in _WRONG_KEY:
        says = f"The store does not know our key, or the secret to it ({code})."
        do = "Correct VOICESKETCH_S3_ACCESS_KEY and VOICESKETCH_S3_SECRET_KEY."
        return [Finding("store_refuses", PART, says, do)]
    if code == "NoSuchBucket":
        do = "Make the place ready (python -m core.bootstrap), or correct VOICESKETCH_S3_BUCKET."
        return [Finding("bucket_missing", PART, f"There is no bucket {bucket}.", do)]
    if code == "RequestTimeTooSkewed":
        says = "The store refuses what we sign: its clock and ours are too far apart."
        return [Finding("store_clock_off", PART, says, "Set both by a time server.")]
    says = f"The bucket {bucket} is there, and our key may not use it ({code}): it may be somebody else's."
    do = "Choose another name (VOICESKETCH_S3_BUCKET), or let the key read, write, list and delete in it."
    return [Finding("bucket_of_others", PART, says, do)]
