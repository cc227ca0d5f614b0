"""What scripts ask of recordings on their way in: whole, in parts, and many in an archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from core.client import answers
from core.client.asking import LONG_TIMEOUTS, Asking, json_of, place
from core.errors import NotFound

_CHECKED_AT_ONCE = 1000


class Recordings(Asking):
    def has_recording(self, sha256: str) -> bool:
        """Whether this user has already sent that content."""
        try:
            self._ask("HEAD", place("recordings", sha256)).close()
        except NotFound:
            return False
        return True

    def recording(self, sha256: str) -> answers.RecordingView:
        """What this user sent: its size and its media type."""
        return self._read(answers.RecordingView, "GET", place("recordings", sha256))

    def known_recordings(self, sha256: Sequence[str]) -> set[str]:
        """Which of them this user has already sent."""
        known: set[str] = set()
        for start in range(0, len(sha256), _CHECKED_AT_ONCE):
            body = {"recordings": list(sha256[start : start + _CHECKED_AT_ONCE])}
            known |= set(
                self._read(answers.KnownView, "POST", place("recordings", "check"), json=body)["known"]
            )
        return known

    def check_manifest(self, file: IO[bytes], name: str) -> answers.ManifestView:
        """What a manifest says line by line, and every line that is wrong; `name` ends in `.csv` or `.jsonl`."""
        answer = self._send(place("manifests", "check"), file, method="POST", params={"name": name})
        checked: answers.ManifestView = json_of(answer)
        return checked

    def send_recording(self, file: IO[bytes]) -> str:
        """Uploads from a file's current position to its end; answers the SHA-256 of what arrived."""
        return str(json_of(self._send(place("recordings"), file))["recording"])

    def send_archive(self, file: IO[bytes]) -> answers.UnpackedView:
        """Uploads a ZIP; answers the items to make a job of."""
        answer = self._send(place("archives"), file, method="POST", timeout=LONG_TIMEOUTS)
        unpacked: answers.UnpackedView = json_of(answer)
        return unpacked

    def begin_upload(
        self, name: str, size_bytes: int, fingerprint: str, *, archive: bool = False
    ) -> answers.UploadView:
        """Begins to send a large file in parts, or finds the one of the same fingerprint and size again.

        Args:
            archive: it is a ZIP for `unpack_upload`, which may be larger than a recording.
        """
        body = {"name": name, "size_bytes": size_bytes, "fingerprint": fingerprint, "archive": archive}
        return self._read(answers.UploadView, "POST", place("uploads"), json=body)

    def upload(self, upload_id: str) -> answers.UploadView:
        """Which parts are there."""
        return self._read(answers.UploadView, "GET", place("uploads", upload_id))

    def send_part(self, upload_id: str, number: int, file: IO[bytes]) -> None:
        """Sends one part, `part_bytes` long, the last one what remains; numbers begin at 1."""
        self._send(place("uploads", upload_id, "parts", number), file).close()

    def part_links(self, upload_id: str, parts: Sequence[int]) -> answers.PartLinks:
        """Addresses that take parts straight into the store, where it can be reached."""
        path = place("uploads", upload_id, "links")
        return self._read(answers.PartLinks, "POST", path, json={"parts": list(parts)})

    def complete_upload(self, upload_id: str) -> answers.UploadView:
        """Makes a recording of the parts; `recording` is its SHA-256."""
        path = place("uploads", upload_id, "complete")
        return self._read(answers.UploadView, "POST", path, timeout=LONG_TIMEOUTS)

    def unpack_upload(self, upload_id: str) -> answers.UnpackedView:
        """Takes a ZIP that was sent in parts apart; answers the items to make a job of."""
        path = place("uploads", upload_id, "unpack")
        return self._read(answers.UnpackedView, "POST", path, timeout=LONG_TIMEOUTS)

    def look_in_s3(self, url: str, *, wanted: str = "voice") -> answers.S3Found:
        """What lies at an address such as `s3://bucket/folder`; `wanted` is `voice` or `face`."""
        body = {"url": url, "wanted": wanted}
        return self._read(answers.S3Found, "POST", place("sources", "s3", "check"), json=body)

    def take_from_s3(self, url: str, *, after: str | None = None, wanted: str = "voice") -> answers.S3Taken:
        """Takes in the next recordings of an address; `next` of the answer is the `after` of the next call."""
        body = {"url": url, "after": after, "wanted": wanted}
        return self._read(answers.S3Taken, "POST", place("sources", "s3"), json=body, timeout=LONG_TIMEOUTS)

    def abandon_upload(self, upload_id: str) -> None:
        """Throws the parts away."""
        self._ask("DELETE", place("uploads", upload_id)).close()
