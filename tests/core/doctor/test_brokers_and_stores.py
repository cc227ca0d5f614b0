"""Mistakes around the broker and the object store, made on real servers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import boto3
import pytest
from pydantic import SecretStr

from core.config import Settings
from core.doctor import broker, storage
from core.doctor.findings import Finding
from core.stack import ports, valkey
from core.stack.child import Child
from core.store import Store
from tests.conftest import settings_for
from tests.servers import PASSWORD, ObjectStore

SQLITE = "sqlite:///nowhere"


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def with_broker(url: str) -> Settings:
    return Settings(database_url=SQLITE, broker_url=SecretStr(url))


def test_a_broker_that_is_well_is_left_alone(broker_url: str) -> None:
    assert broker.look(with_broker(broker_url)) == []


def test_a_wrong_password_an_absent_broker_and_no_address_are_told_apart(broker_url: str) -> None:
    wrong = broker_url.replace(PASSWORD, "another-one")
    [refuses] = broker.look(with_broker(wrong))
    assert refuses.code == "broker_refuses"
    assert "another-one" not in refuses.sentence()
    nobody = ports.choose(["any"])["any"]
    assert codes(broker.look(with_broker(f"redis://127.0.0.1:{nobody}/0"))) == ["broker_unreachable"]
    assert codes(broker.look(with_broker("what is this"))) == ["broker_address"]


def test_a_broker_that_throws_keys_away_is_noticed(tmp_path: Path) -> None:
    port = ports.choose(["valkey"])["valkey"]
    program = valkey.program(tmp_path, tmp_path / "valkey.log", port, PASSWORD, {})
    written = Path(program.command[1])
    keeps = "maxmemory-policy noeviction"
    assert keeps in written.read_text()
    written.write_text(written.read_text().replace(keeps, "maxmemory 64mb\nmaxmemory-policy allkeys-lru"))
    child = Child(program)
    child.start()
    try:
        child.wait_until_ready()
        [found] = broker.look(with_broker(valkey.url(port, PASSWORD)))
    finally:
        child.kill()
    assert (found.code, "allkeys-lru" in found.says) == ("broker_evicts", True)


def test_a_full_broker_is_noticed_and_one_without_a_limit_never_is() -> None:
    assert codes(broker.memory("noeviction", 2**20, 2**20)) == ["broker_full"]
    assert broker.memory("allkeys-lru", 0, 2**30) == []


def test_a_store_that_is_well_is_left_alone(object_store: ObjectStore) -> None:
    settings = settings_for(SQLITE, "redis://x", object_store)
    Store(settings).ensure_bucket()
    assert storage.look(settings) == []


def test_a_wrong_key_a_missing_bucket_and_an_absent_store_are_told_apart(object_store: ObjectStore) -> None:
    settings = settings_for(SQLITE, "redis://x", object_store)

    def of(**other: object) -> list[str]:
        return codes(storage.look(settings.model_copy(update=other)))

    Store(settings).ensure_bucket()
    assert of(s3_secret_key=SecretStr("wrong")) == ["store_refuses"]
    assert of(s3_access_key=SecretStr("nobody")) == ["store_refuses"]
    assert of(s3_bucket="there-is-no-such-bucket") == ["bucket_missing"]
    nobody = ports.choose(["any"])["any"]
    assert of(s3_endpoint_url=f"http://127.0.0.1:{nobody}") == ["store_unreachable"]


def test_a_public_bucket_and_one_that_is_closed_to_us_are_noticed(object_store: ObjectStore) -> None:
    settings = settings_for(SQLITE, "redis://x", object_store.of_new_bucket())
    Store(settings).ensure_bucket()
    owner = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=object_store.access_key,
        aws_secret_access_key=object_store.secret_key,
    )
    bucket = settings.s3_bucket

    def policy(effect: str) -> str:
        statement = {
            "Effect": effect,
            "Principal": "*",
            "Action": ["s3:ListBucket", "s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    try:
        owner.put_bucket_policy(Bucket=bucket, Policy=policy("Allow"))
        assert codes(storage.look(settings)) == ["bucket_public"]
        owner.put_bucket_policy(Bucket=bucket, Policy=policy("Deny"))
        assert codes(storage.look(settings)) == ["bucket_of_others"]
    finally:
        owner.delete_bucket_policy(Bucket=bucket)
    assert storage.look(settings) == []


@pytest.mark.parametrize(("seconds", "found"), [(0, []), (30, []), (3600, ["store_clock_off"])])
def test_the_clock_of_the_store_is_read_from_its_answers(seconds: int, found: list[str]) -> None:
    here = datetime.now(UTC)
    assert codes(storage.skew(format_datetime(here + timedelta(seconds=seconds), usegmt=True), here)) == found
    assert storage.skew(None, here) == storage.skew("yesterday", here) == []
