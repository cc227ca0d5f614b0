"""The registry: what may be entered, what makes a version, and how two networks become one model."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest, StorageUnavailable, TooLarge
from core.jobs import create_job
from core.models.registry import (
    PRODUCTION,
    UploadedFile,
    export_model,
    fetch_model,
    input_of,
    pair_models,
    register_model,
    register_uploaded_model,
    resolve_model,
    take_in_model_file,
)
from core.specs import InferSpec, NewItem
from core.store import Store
from tests.factories import Ledger


def write_network(folder: Path, *, kind: str, weights: bytes, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    config = {"kind": kind, "weights_sha256": hashlib.sha256(weights).hexdigest(), **more}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_network(tmp_path / "model", kind="speech_to_face", weights=b"weights")


@pytest.fixture
def halves(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    """An encoder of voices, one of another length, and a decoder, registered."""
    sizes = {"embedding_length": 8, "embedding_space": "somewhere"}
    for name, part, config in (
        ("ears", "encoder", sizes),
        ("long-ears", "encoder", {"embedding_length": 9, "embedding_space": ""}),
        ("foreign-ears", "encoder", {"embedding_length": 8, "embedding_space": "elsewhere"}),
        ("hand", "decoder", sizes),
    ):
        folder = write_network(
            tmp_path / name, kind=name, weights=name.encode(), part=part, input="voice", config=config
        )
        (folder / "README.md").write_text("a card")
        register_model(ledger.database, store, folder, name=name)


def test_a_model_is_registered_once_and_found_by_alias_name_and_version(
    ledger: Ledger, store: Store, model_folder: Path
) -> None:
    first = register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION)
    assert register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION).id == first.id
    (model_folder / "model.safetensors").write_bytes(b"other weights")
    second = register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION)
    assert (first.label, second.label) == ("tiny@1", "tiny@2")
    with ledger.database.read() as session:
        assert resolve_model(session, PRODUCTION).id == first.id  # an alias is only moved on purpose
        assert resolve_model(session, "tiny").id == second.id
        assert resolve_model(session, "tiny@1").id == first.id
        for wrong in ("tiny@9", "tiny@x", "other"):
            with pytest.raises(InvalidRequest, match="production, tiny@1, tiny@2"):
                resolve_model(session, wrong)


def test_a_fetched_model_is_whole_or_refused(
    ledger: Ledger, store: Store, model_folder: Path, tmp_path: Path
) -> None:
    version = register_model(ledger.database, store, model_folder, name="tiny", alias=None)
    folder = fetch_model(store, version, tmp_path / "cache")
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    (folder / "model.safetensors").write_bytes(b"torn")  # a damaged cache is fetched again
    assert (fetch_model(store, version, tmp_path / "cache") / "model.safetensors").read_bytes() == b"weights"
    store.put(version.files[1]["key"], b"torn", "application/octet-stream")
    with pytest.raises(StorageUnavailable, match="damaged"):
        fetch_model(store, version, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_folder_that_is_no_model_is_refused(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"config\.json is missing"):
        register_model(ledger.database, store, tmp_path, name="none", alias=None)


def test_a_folder_without_weights_or_kind_is_refused(ledger: Ledger, store: Store, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InvalidRequest, match="names no kind"):
        register_model(ledger.database, store, tmp_path, name="none")
    (tmp_path / "config.json").write_text('{"kind": "ve_conv"}')
    with pytest.raises(InvalidRequest, match=r"model\.safetensors is missing"):
        register_model(ledger.database, store, tmp_path, name="none")


def test_an_encoder_and_a_decoder_become_a_model_without_copying_weights(
    ledger: Ledger, store: Store, halves: None, tmp_path: Path
) -> None:
    before = set(store.keys())
    pair = pair_models(ledger.database, store, encoder="ears", decoder="hand@1", name="sketcher")
    assert pair.label == "sketcher@1"
    assert input_of(pair) == "voice"
    assert len(set(store.keys()) - before) == 1  # its own config.json
    folder = export_model(ledger.database, store, "sketcher", tmp_path / "out") and tmp_path / "out"
    assert (folder / "encoder" / "model.safetensors").read_bytes() == b"ears"
    assert (folder / "decoder" / "model.safetensors").read_bytes() == b"hand"
    again = pair_models(ledger.database, store, encoder="ears@1", decoder="hand", name="sketcher")
    assert again.id == pair.id


@pytest.mark.parametrize(
    ("encoder", "decoder", "reason"),
    [
        ("long-ears", "hand", "embeddings of 9 numbers come out of the first, and 8 go into the second"),
        ("foreign-ears", "hand", "speaks of elsewhere"),
        ("hand", "hand", "hand@1 is no encoder"),
        ("ears", "ears", "ears@1 is no decoder"),
        ("ears", "nobody", "There is no model 'nobody'"),
    ],
)
def test_what_does_not_fit_is_not_paired(
    ledger: Ledger, store: Store, halves: None, encoder: str, decoder: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        pair_models(ledger.database, store, encoder=encoder, decoder=decoder, name="sketcher")


def test_half_a_model_is_refused_before_a_job_is_made(ledger: Ledger, store: Store, halves: None) -> None:
    items = [NewItem(key="a", recording=ledger.recordings(1)[0])]
    with (
        pytest.raises(InvalidRequest, match="ears@1 draws nothing by itself"),
        ledger.database.write() as session,
    ):
        create_job(session, owner_id=ledger.user().id, spec=InferSpec(model="ears"), items=items)


def test_uploaded_files_are_registered_when_they_belong_together(
    ledger: Ledger, store: Store, model_folder: Path
) -> None:
    sent = {}
    for name in ("config.json", "model.safetensors"):
        with (model_folder / name).open("rb") as file:
            sent[name], _ = take_in_model_file(store, file, max_bytes=1000)
    files = [UploadedFile(name, sha256) for name, sha256 in sent.items()]
    version = register_uploaded_model(ledger.database, store, name="sent", files=files)
    assert version.label == "sent@1"
    stranger, _ = take_in_model_file(store, io.BytesIO(b"other weights"), max_bytes=1000)
    for wrong, reason in (
        (files[:1], r"model\.safetensors is missing"),
        ([files[0], UploadedFile("model.safetensors", stranger)], "belongs to other weights"),
        ([files[0], UploadedFile("model.safetensors", "0" * 64)], "send its content first"),
        ([*files, UploadedFile("../evil", stranger)], "has no file"),
        ([*files, files[0]], "named twice"),
        ([UploadedFile("config.json", stranger), files[1]], "not valid JSON"),
    ):
        with pytest.raises(InvalidRequest, match=reason):
            register_uploaded_model(ledger.database, store, name="sent", files=wrong)


def test_a_file_of_a_model_that_is_too_large_leaves_nothing(store: Store) -> None:
    with pytest.raises(TooLarge):
        take_in_model_file(store, io.BytesIO(b"x" * 1001), max_bytes=1000)
    assert list(store.keys()) == []


def test_a_model_is_not_exported_into_a_folder_that_holds_something(
    ledger: Ledger, store: Store, model_folder: Path, tmp_path: Path
) -> None:
    register_model(ledger.database, store, model_folder, name="tiny")
    with pytest.raises(InvalidRequest, match="not an empty folder"):
        export_model(ledger.database, store, "tiny", model_folder)


def test_a_model_is_not_named_like_an_alias(ledger: Ledger, store: Store, model_folder: Path) -> None:
    register_model(ledger.database, store, model_folder, name="tiny", alias=PRODUCTION)
    with pytest.raises(InvalidRequest, match="'production' is an alias"):
        register_model(ledger.database, store, model_folder, name=PRODUCTION)
