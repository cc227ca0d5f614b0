"""The files of deploy/store: held against the keys that the code makes, and tried on a real SeaweedFS."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from core import objects
from core.config import Settings
from core.errors import NotFound, VoicesketchError
from core.stack import ports, seaweed
from core.stack.child import Child, Program
from core.store import Store
from tests.conftest import REPOSITORY
from tests.servers import VOLUME_MEGABYTES

FOLDER = REPOSITORY / "deploy" / "store"
BUCKET = "voicesketch"
# What workers make; what people send is not theirs to change.
MADE = {
    objects.face_key("job", 1, 1),
    objects.job_file_key("job", "ab" * 32),
    objects.model_upload_key("ab" * 32),
    objects.dataset_shard_key("ab" * 32),
    objects.dataset_file_key("ab" * 32, "index.json"),
}
SENT = {objects.recording_key("ab" * 32), "uploads/upload_1"}

# What Amazon asks for, by what is called ("Actions, resources, and condition keys for Amazon S3" of its reference).
ACTIONS = {
    "head_bucket": "ListBucket",
    "create_bucket": "CreateBucket",
    "list_objects_v2": "ListBucket",
    "put_object": "PutObject",
    "upload_fileobj": "PutObject",
    "create_multipart_upload": "PutObject",
    "upload_part": "PutObject",
    "complete_multipart_upload": "PutObject",
    "list_parts": "ListMultipartUploadParts",
    "abort_multipart_upload": "AbortMultipartUpload",
    "get_object": "GetObject",
    "head_object": "GetObject",
    "delete_object": "DeleteObject",
    "delete_objects": "DeleteObject",
}
OF_THE_BUCKET = {"ListBucket", "CreateBucket"}


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def may(policy: str, action: str, key: str) -> bool:
    return any(
        f"s3:{action}" in statement["Action"]
        and any(
            f"arn:aws:s3:::{BUCKET}/{key}".startswith(given.rstrip("*")) for given in statement["Resource"]
        )
        for statement in read(policy)["Statement"]
        if isinstance(statement["Resource"], list)
    )


def test_each_process_may_what_it_does_and_a_worker_changes_nothing_that_people_sent() -> None:
    for policy in ("policy-dashboard.json", "policy-ticker.json"):
        for key in MADE | SENT:
            assert all(may(policy, action, key) for action in ("GetObject", "PutObject", "DeleteObject"))
    for key in MADE:
        assert all(
            may("policy-worker.json", action, key) for action in ("GetObject", "PutObject", "DeleteObject")
        )
    for key in SENT:
        assert may("policy-worker.json", "GetObject", key)
        assert not any(may("policy-worker.json", action, key) for action in ("PutObject", "DeleteObject"))
    # Without the right to list, a store says that an object is forbidden where it should say that there is none.
    for file in FOLDER.glob("policy-[!b]*.json"):
        assert "s3:ListBucket" in read(file.name)["Statement"][0]["Action"], file.name


def called() -> set[str]:
    """Operations of the store's client, also those that are signed for others to carry out."""
    code = (REPOSITORY / "core" / "store.py").read_text()
    patterns = (
        r"_client\.(?!get_paginator)(\w+)\(",
        r'get_paginator\("(\w+)"',
        r'generate_presigned_url\("(\w+)"',
    )
    return {name for pattern in patterns for name in re.findall(pattern, code)}


def granted(policy: str) -> set[str]:
    return {
        action.removeprefix("s3:")
        for statement in read(policy)["Statement"]
        for action in statement["Action"]
    }


def test_policies_name_the_actions_of_what_is_called_and_no_others() -> None:
    needed = {ACTIONS[operation] for operation in called()}
    assert {"ListMultipartUploadParts", "CreateBucket"} <= needed
    assert granted("policy-dashboard.json") == granted("policy-ticker.json") == needed - {"CreateBucket"}
    assert granted("policy-worker.json") == needed - {"CreateBucket"}
    assert granted("policy-prepare.json") < needed
    assert "CreateBucket" in granted("policy-prepare.json")


def test_actions_are_granted_on_the_kind_of_thing_that_they_are_about() -> None:
    """An action of a bucket is never let through by the name of an object, nor the other way round."""
    for file in FOLDER.glob("policy-[!b]*.json"):
        for statement in read(file.name)["Statement"]:
            about_bucket = {action.removeprefix("s3:") in OF_THE_BUCKET for action in statement["Action"]}
            resources = statement["Resource"]
            resources = [resources] if isinstance(resources, str) else resources
            assert about_bucket == {"/" not in resource for resource in resources}, file.name


def test_no_rule_of_the_bucket_reaches_what_a_row_names() -> None:
    for rule in read("lifecycle.json")["Rules"]:
        if "Expiration" in rule:
            prefix = rule["Filter"]["Prefix"]
            assert prefix
            assert not any(key.startswith(prefix) for key in MADE | {objects.recording_key("ab" * 32)})


def settings_of(process: str, port: int) -> Settings:
    return Settings(
        database_url="sqlite://",
        broker_url=SecretStr("redis://127.0.0.1:1"),
        s3_endpoint_url=f"http://127.0.0.1:{port}",
        s3_bucket=BUCKET,
        s3_access_key=SecretStr(f"ACCESS_KEY_OF_{process.upper()}"),
        s3_secret_key=SecretStr(f"SECRET_KEY_OF_{process.upper()}"),
    )


@pytest.fixture
def store_port(tmp_path: Path) -> Iterator[int]:
    """A SeaweedFS that knows nobody but the identities of the file."""
    chosen = ports.choose(seaweed.PORTS, suits=seaweed.suits, beside=seaweed.BESIDE)
    usual = seaweed.program(
        tmp_path / "store",
        tmp_path / "log",
        chosen,
        "",
        "",
        dict(os.environ),
        volume_megabytes=VOLUME_MEGABYTES,
    )
    environment = {name: value for name, value in usual.environment.items() if not name.startswith("AWS_")}
    program = Program(
        name=usual.name,
        title=usual.title,
        command=(*usual.command, f"-s3.config={FOLDER / 'seaweedfs.json'}"),
        folder=usual.folder,
        log=usual.log,
        environment=environment,
        is_ready=usual.is_ready,
        ready_seconds=usual.ready_seconds,
    )
    child = Child(program)
    child.start()
    try:
        child.wait_until_ready()
        yield chosen["s3.port"]
    finally:
        child.kill()
        seaweed.remove_sockets(chosen)


@pytest.mark.soak
def test_seaweedfs_holds_each_process_to_its_part_and_takes_the_rules(store_port: int) -> None:
    prepare, dashboard, ticker, worker = (
        Store(settings_of(process, store_port)) for process in ("prepare", "dashboard", "ticker", "worker")
    )
    prepare.ensure_bucket()
    for key in SENT:
        dashboard.put(key, b"sent", "audio/wav")
        assert worker.get(key) == b"sent"
        for change in (lambda: worker.put(key, b"other", "audio/wav"), lambda: worker.delete(key)):  # noqa: B023
            with pytest.raises(VoicesketchError):
                change()
        assert dashboard.get(key) == b"sent"
    for key in MADE:
        worker.put(key, b"made", "image/png")
        assert dashboard.get(key) == b"made"
        ticker.delete(key)
        with pytest.raises(NotFound):
            worker.get(key)
    parts = worker.begin_parts("models/files/large")
    worker.put_part("models/files/large", parts, 1, b"a part")
    worker.drop_parts("models/files/large", parts)

    owner, stranger = (
        boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{store_port}",
            region_name="us-east-1",
            aws_access_key_id=f"ACCESS_KEY_OF_{process}",
            aws_secret_access_key=f"SECRET_KEY_OF_{process}",
        )
        for process in ("PREPARE", "WORKER")
    )
    rules = read("lifecycle.json")
    for refused in (
        lambda: stranger.create_bucket(Bucket="other"),
        lambda: stranger.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=rules),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()
    owner.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=rules)
    kept = owner.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {rule["ID"]: rule for rule in kept} == {rule["ID"]: rule for rule in rules["Rules"]}

    # From here on nobody is let in without TLS, and this server speaks none.
    assert dashboard.exists(next(iter(SENT)))
    owner.put_bucket_policy(Bucket=BUCKET, Policy=(FOLDER / "policy-bucket.json").read_text())
    with pytest.raises(VoicesketchError):
        dashboard.get(next(iter(SENT)))
