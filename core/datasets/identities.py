"""Names of people as ids that every file system and every tool takes, without two people ever becoming one.

Transliteration makes `José` and `Jose` the same text. Whoever then names a folder by that text has mixed two voices
under one face; here the second one gets a number, and the names themselves stay on record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from anyascii import anyascii

LONGEST_ID = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Windows opens a device for these, whatever ending follows.
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$")


def plain_name(name: str) -> str:
    """A name in the letters `A-Za-z0-9._-`; different names may give the same."""
    plain = _UNSAFE.sub("_", anyascii(name).strip()).lstrip(".-").rstrip(".")
    if not plain.strip("_"):
        plain = "person"
    if _RESERVED.match(plain):
        plain = f"person-{plain}"
    return plain[:LONGEST_ID].rstrip(".")


def identity_ids(names: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """An id for each name, different also where case is not told apart.

    The ids depend on the set of names alone and not on its order. A name that is an id already keeps it; of several
    names that become equal, the first by code points goes without a number.

    Args:
        known: ids of people who have theirs already; they keep them, and nobody else gets one of these.
    """
    known = known or {}
    wanted = set(names)
    plain = {name: plain_name(name) for name in sorted(wanted - known.keys())}
    reserved = {text.casefold() for text in plain.values()}
    ids = {name: known[name] for name in sorted(wanted & known.keys())}
    taken = {text.casefold() for text in known.values()}
    for name, text in sorted(plain.items(), key=lambda pair: (pair[0] != pair[1], pair[0])):
        candidate, number = text, 1
        # A number must not lead to what another name becomes by itself: `Jose-2` may be somebody's name.
        while candidate.casefold() in taken or (number > 1 and candidate.casefold() in reserved):
            number += 1
            candidate = f"{text[: LONGEST_ID - len(str(number)) - 1]}-{number}"
        taken.add(candidate.casefold())
        ids[name] = candidate
    return ids
