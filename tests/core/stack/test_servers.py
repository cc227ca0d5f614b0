"""The servers of the stack, as a stranger on the same machine meets them."""

from __future__ import annotations

import http.client
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
import redis
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from core.stack.ports import LOOPBACK
from tests.servers import Broker, ObjectStore

SECRET = b"bytes that only the owner may read"
# The master shows a status page at "/", whatever the method: it may be read, and must not show an object.
STATUS_PATHS = ("/", "/ui/index.html", "/metrics", "/status")
OBJECT_PATHS = (
    "/{bucket}/key",
    "/buckets/{bucket}/key",
    "/buckets/{bucket}/new",
    "/dir/assign",
    "/submit",
    "/1,01637037d6",
)
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")


def client(store: ObjectStore, **changes: object):  # type: ignore[no-untyped-def]
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=changes.pop("secret_key", store.secret_key),
        **changes,
    )


@pytest.fixture
def bucket_with_an_object(object_store_server: ObjectStore) -> ObjectStore:
    mine = object_store_server.of_new_bucket()
    owner = client(mine)
    owner.create_bucket(Bucket=mine.bucket)
    owner.put_object(Bucket=mine.bucket, Key="key", Body=SECRET)
    assert owner.get_object(Bucket=mine.bucket, Key="key")["Body"].read() == SECRET
    return mine


def test_s3_refuses_requests_without_a_signature(bucket_with_an_object: ObjectStore) -> None:
    stranger = client(bucket_with_an_object, config=Config(signature_version=UNSIGNED))
    for call in (
        lambda: stranger.list_buckets(),
        lambda: stranger.get_object(Bucket=bucket_with_an_object.bucket, Key="key"),
        lambda: stranger.put_object(Bucket=bucket_with_an_object.bucket, Key="other", Body=b"x"),
        lambda: stranger.delete_object(Bucket=bucket_with_an_object.bucket, Key="key"),
    ):
        with pytest.raises(ClientError) as refusal:
            call()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_s3_refuses_a_wrong_secret(bucket_with_an_object: ObjectStore) -> None:
    with pytest.raises(ClientError):
        client(bucket_with_an_object, secret_key="a guess").list_buckets()


def test_no_port_of_the_object_store_serves_or_takes_objects_over_plain_http(
    bucket_with_an_object: ObjectStore,
) -> None:
    """Every port it listens on is tried, so that a new one in a later release cannot slip in."""
    process = psutil.Process(bucket_with_an_object.child.pid)
    listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 8
    assert {address.ip for address in listening} == {LOOPBACK}
    for address in listening:
        for path in (*STATUS_PATHS, *OBJECT_PATHS):
            for method in METHODS:
                status, body = ask(address.port, method, path.format(bucket=bucket_with_an_object.bucket))
                assert SECRET not in body, (address.port, method, path)
                if path in OBJECT_PATHS:
                    assert status is None or status >= 400, (address.port, method, path, status)


def test_the_bytes_of_an_object_cannot_be_had_from_the_volume_server(
    bucket_with_an_object: ObjectStore,
) -> None:
    """Its port must stay open for the store itself; who knows an object's place there still needs a signed token."""
    port = bucket_with_an_object.ports["volume.port"]
    identifiers = file_identifiers(
        Path(bucket_with_an_object.child.program.folder), bucket_with_an_object.bucket
    )
    assert identifiers
    for identifier in identifiers:
        for method in METHODS:
            status, body = ask(port, method, f"/{identifier}")
            assert status == 401, (method, identifier)
            assert SECRET not in body


def test_valkey_refuses_a_stranger(broker: Broker) -> None:
    for url in (
        f"redis://{LOOPBACK}:{broker.port}/0",
        f"redis://voicesketch:a-guess@{LOOPBACK}:{broker.port}/0",
        f"redis://:a-password-of-the-tests@{LOOPBACK}:{broker.port}/0",
    ):
        with redis.Redis.from_url(url) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()


def test_valkey_gives_its_user_nothing_dangerous(broker: Broker) -> None:
    with redis.Redis.from_url(broker.url) as user:
        assert user.ping()
        for command in (["FLUSHALL"], ["CONFIG", "GET", "*"], ["SHUTDOWN"], ["KEYS", "*"], ["ACL", "LIST"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.execute_command(*command)


def test_each_test_gets_an_empty_database_of_its_own(empty_database_url: str) -> None:
    if empty_database_url.startswith("sqlite"):
        assert not Path(empty_database_url.removeprefix("sqlite+pysqlite:///")).exists()
        return
    with psycopg.connect(empty_database_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)


def ask(port: int, method: str, path: str) -> tuple[int | None, bytes]:
    """What a port answers to plain HTTP; no status when it does not speak it, as gRPC does not."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        body = b"x" * 10 if method in ("PUT", "POST") else None
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def file_identifiers(folder: Path, bucket: str) -> list[str]:
    """`volume,key+cookie` of the objects of a bucket, read from the volume files as only their owner can."""
    identifiers = []
    for volume in folder.glob(f"{bucket}_*.dat"):
        number = volume.stem.rpartition("_")[2]
        content = volume.read_bytes()
        at = content.find(SECRET)
        if at >= 20:
            # Needle header: cookie (4 bytes), id (8), size (4), then the length of the data (4) and the data.
            header = content[at - 20 : at]
            identifiers.append(f"{number},{int.from_bytes(header[4:12]):x}{header[:4].hex()}")
    return identifiers
