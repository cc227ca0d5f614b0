"""The object store: S3 through boto3, whoever serves it. The only file that knows boto3."""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import IO, Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from core.config import Settings
from core.errors import Conflict, NotFound, StorageUnavailable
from core.objects import StoredObject

_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket", "NoSuchUpload"}
_WRONG_CLOCK = "RequestTimeTooSkewed"  # by more than a quarter of an hour
READ_AT_ONCE = 256 * 1024
_DELETED_AT_ONCE = 1000  # S3 takes no more in one request
_SENT_WITHOUT_LEAVE = 1024 * 1024  # bytes
# Answers that are believed for what they hold: cut within its head, one would pass for an empty object or list.
_WITH_CONTENT = ("GetObject", "HeadObject", "ListObjectsV2", "ListParts")


@dataclass(frozen=True)
class Stored:
    """An object that is being read: what the store says of it, and its content."""

    size: int
    media_type: str
    pieces: Iterator[bytes]


class Store:
    """One bucket. Safe to use from several threads.

    Raises (every method):
        StorageUnavailable: the store cannot be reached or refuses.
        NotFound: there is no object of that key.
    """

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._client = self._make_client(settings, settings.s3_endpoint_url)
        # Signs only: a signature holds for the name that the store is called by.
        self._public: Any = (
            self._make_client(settings, settings.s3_public_url) if settings.s3_public_url else None
        )

    def _make_client(self, settings: Settings, endpoint_url: str | None) -> Any:
        access, secret = settings.s3_access_key, settings.s3_secret_key
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=access.get_secret_value() if access else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 4, "mode": "standard"},
                max_pool_connections=32,
                s3={"addressing_style": "path"},
                # Trailing checksums are not understood by every S3-compatible server; we keep our own SHA-256.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        for operation in _WITH_CONTENT:
            client.meta.events.register(f"before-parse.s3.{operation}", _refuse_cut_short)
        client.meta.events.register_last("before-call.s3", _ask_no_leave)
        return client

    def ensure_bucket(self) -> None:
        with _translated(self.bucket):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _MISSING:
                    raise
                self._client.create_bucket(Bucket=self.bucket)

    def refusal(self) -> str | None:
        """The store's own word for why it does not list the bucket for us, such as `NoSuchBucket`; None if it does."""
        try:
            with _translated(self.bucket):
                self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
        except (NotFound, StorageUnavailable) as error:
            if isinstance(error.__cause__, ClientError):
                return str(error.__cause__.response["Error"]["Code"])
            raise
        return None

    def of_bucket(self, bucket: str) -> Store:
        """The same server's other bucket, by the same credentials."""
        other = copy.copy(self)
        other.bucket = bucket
        return other

    def put(self, key: str, data: bytes, media_type: str, kind: str = "") -> StoredObject:
        with _translated(key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType=media_type)
        return StoredObject(kind, key, media_type, len(data), hashlib.sha256(data).hexdigest())

    def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
        """Uploads from a file's current position to its end, in parts where it is large."""
        with _translated(key):
            self._client.upload_fileobj(file, self.bucket, key, ExtraArgs={"ContentType": media_type})

    def begin_parts(self, key: str, media_type: str = "application/octet-stream") -> str:
        """Begins an object that is sent in parts; answers the id that its parts are sent with."""
        with _translated(key):
            begun = self._client.create_multipart_upload(Bucket=self.bucket, Key=key, ContentType=media_type)
            return str(begun["UploadId"])

    def put_part(self, key: str, parts_id: str, number: int, data: bytes) -> None:
        with _translated(key):
            self._client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=parts_id, PartNumber=number, Body=data
            )

    def parts(self, key: str, parts_id: str) -> list[tuple[int, int, str]]:
        """The parts that are there: number, bytes, and the tag the store gave it."""
        with _translated(key):
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self.bucket, Key=key, UploadId=parts_id
            )
            return [
                (int(part["PartNumber"]), int(part["Size"]), str(part["ETag"]))
                for page in pages
                for part in page.get("Parts", [])
            ]

    def join_parts(self, key: str, parts_id: str) -> None:
        """Makes one object of all parts that are there."""
        parts = [{"PartNumber": number, "ETag": tag} for number, _, tag in self.parts(key, parts_id)]
        with _translated(key):
            self._client.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=parts_id, MultipartUpload={"Parts": parts}
            )

    def drop_parts(self, key: str, parts_id: str) -> None:
        """Throws parts away; those that are gone already are no matter."""
        try:
            with _translated(key):
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=parts_id)
        except NotFound:
            return

    def get(self, key: str) -> bytes:
        with _translated(key):
            data: bytes = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            return data

    def stream(self, key: str, byte_range: tuple[int, int] | None = None) -> Iterator[bytes]:
        """Pieces of an object; `byte_range` is inclusive at both ends. The request is made before the first piece."""
        arguments = {"Range": f"bytes={byte_range[0]}-{byte_range[1]}"} if byte_range else {}
        with _translated(key):
            body = self._client.get_object(Bucket=self.bucket, Key=key, **arguments)["Body"]
        return _pieces(key, body)

    def fetch(self, key: str) -> Stored:
        """An object with its size and media type, by one request."""
        with _translated(key):
            found = self._client.get_object(Bucket=self.bucket, Key=key)
        return Stored(int(found["ContentLength"]), found.get("ContentType", ""), _pieces(key, found["Body"]))

    def open(self, key: str) -> IO[bytes]:
        """An object as a file that is read once, from its beginning."""
        return cast("IO[bytes]", io.BufferedReader(_Pieces(self.stream(key))))

    def link(self, key: str, *, seconds: int, disposition: str) -> str:
        """An address at which anybody gets the object for so long, as browsers reach the store.

        Raises:
            Conflict: the settings do not say how browsers reach it.
        """
        if self._public is None:
            raise Conflict("The store cannot be reached from outside: VOICESKETCH_S3_PUBLIC_URL is not set.")
        with _translated(key):
            asked = {"Bucket": self.bucket, "Key": key, "ResponseContentDisposition": disposition}
            url: str = self._public.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)
            return url

    @property
    def is_public(self) -> bool:
        """Whether browsers can reach the store themselves."""
        return self._public is not None

    def part_link(self, key: str, parts_id: str, number: int, *, seconds: int) -> str:
        """An address to which anybody can `PUT` one part for so long.

        Raises:
            Conflict: the settings do not say how browsers reach the store.
        """
        if self._public is None:
            raise Conflict("The store cannot be reached from outside: VOICESKETCH_S3_PUBLIC_URL is not set.")
        with _translated(key):
            asked = {"Bucket": self.bucket, "Key": key, "UploadId": parts_id, "PartNumber": number}
            url: str = self._public.generate_presigned_url("upload_part", Params=asked, ExpiresIn=seconds)
            return url

    def size(self, key: str) -> int:
        with _translated(key):
            return int(self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Keys, each with when its object was last written, by the store's clock."""
        with _translated(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for entry in page.get("Contents", []):
                    yield entry["Key"], entry["LastModified"]

    def page(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, int]]:
        """Keys behind `after` in their order, each with its bytes; at most `limit` of them, and 1000."""
        with _translated(f"{self.bucket}/{prefix}"):
            found = self._client.list_objects_v2(
                Bucket=self.bucket, Prefix=prefix, StartAfter=after, MaxKeys=min(limit, 1000)
            )
            return [(str(entry["Key"]), int(entry["Size"])) for entry in found.get("Contents", [])]

    def delete(self, key: str) -> None:
        with _translated(key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def delete_all(self, keys: Collection[str]) -> None:
        """Deletes many at once; those that are gone already are no matter.

        Raises:
            StorageUnavailable: some were not deleted; asking again does no harm.
        """
        wanted = sorted(keys)
        for start in range(0, len(wanted), _DELETED_AT_ONCE):
            some = wanted[start : start + _DELETED_AT_ONCE]
            with _translated(f"{len(some)} objects"):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            if left := [one for one in answer.get("Errors", []) if one.get("Code") not in _MISSING]:
                raise StorageUnavailable(
                    f"The object store did not delete {len(left)} of {len(some)} objects: {left[0].get('Code')}."
                )

    def keys(self, prefix: str = "") -> Iterator[str]:
        with _translated(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for entry in page.get("Contents", []):
                    yield entry["Key"]


def _pieces(key: str, body: Any) -> Iterator[bytes]:
    with _translated(key), body:
        yield from body.iter_chunks(READ_AT_ONCE)


def _ask_no_leave(params: dict[str, Any], **_: object) -> None:
    """Sends what is small along with its headers: waiting for leave to send it costs a round trip for each picture."""
    body = params.get("body")
    if isinstance(body, io.BytesIO) and body.getbuffer().nbytes <= _SENT_WITHOUT_LEAVE:
        params["headers"].pop("Expect", None)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            raise NotFound(f"There is no object {what!r} in the store.") from error
        if error.response["Error"]["Code"] == _WRONG_CLOCK:
            raise StorageUnavailable(
                f"The object store refused {what!r}: its clock and this machine's differ by too much."
            ) from error
        raise StorageUnavailable(f"The object store refused {what!r}: {error}") from error
    except (BotoCoreError, HTTPError) as error:
        raise StorageUnavailable(f"The object store cannot be reached for {what!r}: {error}") from error
    except (ResponseParserError, ValueError) as error:
        # Its reader expects whole answers: half a date or half a number is a ValueError there.
        raise StorageUnavailable(f"The object store's answer for {what!r} makes no sense: {error}") from error


def _refuse_cut_short(response_dict: dict[str, Any], operation_model: Any, **_: object) -> None:
    """Ends the reading of an answer that says nothing of its length, or has another one.

    Raises:
        StorageUnavailable: it was cut short.
    """
    headers = {name.lower(): value for name, value in response_dict["headers"].items()}
    if response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES:
        return  # refused, however much of the reason came along
    length, body = headers.get("content-length"), response_dict["body"]
    is_whole = length is not None or "transfer-encoding" in headers
    if is_whole and length and isinstance(body, bytes) and operation_model.http["method"] != "HEAD":
        is_whole = length == str(len(body))  # a body that comes as a stream is counted as it is read
    if not is_whole:
        raise StorageUnavailable("The object store's answer was cut short.")


class _Pieces(io.RawIOBase):
    """A stream of pieces as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        some = self._left[: len(buffer)]
        buffer[: len(some)] = some
        self._left = self._left[len(some) :]
        return len(some)
