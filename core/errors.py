"""The short family of errors. Every leaf has a stable code that pages, files and scripts may rely on.

`Permanent` means the input or the request is at fault: trying again changes nothing. `Retryable` means the
surroundings are at fault: the same work may well succeed later. Foreign exceptions are translated where they are met.
"""

from __future__ import annotations

from datetime import datetime


class VoicesketchError(Exception):
    """Something went wrong in voicesketch."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    @property
    def message(self) -> str:
        return str(self)


class Permanent(VoicesketchError):
    """The input or the request cannot be used as it is."""

    code = "permanent"


class Retryable(VoicesketchError):
    """The surroundings failed; the same work may succeed later."""

    code = "retryable"


class InvalidSettings(Permanent):
    """The settings cannot be used."""

    code = "invalid_settings"


class InvalidRequest(Permanent):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"


class InvalidManifest(InvalidRequest):
    """The manifest cannot be used."""

    code = "invalid_manifest"


class NotFound(Permanent):
    """There is no such thing here, or it is not yours to see."""

    code = "not_found"


class NotAllowed(Permanent):
    """You may not do this."""

    code = "not_allowed"


class Conflict(Permanent):
    """The thing is not in a state that allows this."""

    code = "conflict"


class TooLarge(Permanent):
    """The recording is larger than this service takes."""

    code = "too_large"


class QuotaExceeded(Permanent):
    """It would go over a limit that you work under.

    Attributes:
        limit: its name, one of `core.people.quotas.Limit`; empty where a service did not tell.
        most: that limit, with what is `used` of it and what was `wanted` beside.
        frees_at: when there is room, as far as that can be told.
    """

    code = "quota_exceeded"

    def __init__(
        self,
        message: str | None = None,
        *,
        limit: str = "",
        most: int = 0,
        used: int = 0,
        wanted: int = 0,
        frees_at: datetime | None = None,
    ) -> None:
        super().__init__(message or "It would go over a limit that you work under.")
        self.limit, self.most, self.used, self.wanted, self.frees_at = limit, most, used, wanted, frees_at


class StackError(Permanent):
    """The single-machine stack cannot start."""

    code = "stack"


class LeaseLost(Permanent):
    """This attempt no longer owns its work; it must stop and publish nothing."""

    code = "lease_lost"


class StorageUnavailable(Retryable):
    """The object store cannot be reached or refused the request."""

    code = "storage_unavailable"


class BrokerUnavailable(Retryable):
    """The broker cannot be reached."""

    code = "broker_unavailable"


class ServiceUnreachable(Retryable):
    """The service cannot be reached."""

    code = "service_unreachable"
