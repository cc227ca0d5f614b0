"""Models that jobs trained: where they come from, their cards, and files that vanish under one's hands."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest
from core.lineage import code_version, describe, library_versions
from core.model_cards import card_text, renew_card
from core.model_deletion import remove_unregistered_files
from core.registry import Origin, fetch_model, pair_models, register_model, register_trained
from core.tables import ModelVersion
from core.training_specs import DefaultModelTask, TrainSpec
from tests.core.registry_place import Registry, metric, on_sqlite, write_model


def lineage() -> dict[str, Any]:
    spec = TrainSpec(model="drawer", dataset="clips@1", recipe=DefaultModelTask())
    return describe(
        spec=spec.model_dump(mode="json"),
        dataset=("clips@1", "d" * 64),
        parent=("drawer@1", "b" * 64),
        models={"face_encoder": ("vgg@2", "f" * 64)},
        job=("job_1", "train | drawer"),
        training={"best": {"metric": "validation/total", "value": 0.12, "step": 400}, "steps": 900},
    )


def read_card(registry: Registry, version: ModelVersion) -> str:
    with registry.ledger.database.read() as session:
        held = session.get(ModelVersion, version.id)
        assert held is not None
        (card,) = [file for file in held.files if file["name"] == "README.md"]
        return registry.store.get(card["key"]).decode()


def test_a_trained_version_remembers_all_that_it_was_made_of(registry: Registry) -> None:
    dataset = registry.dataset()
    parent = registry.model("drawer", b"parent")
    told = lineage()
    child = registry.trained(
        "drawer", b"child", dataset_version_id=dataset.id, parent_id=parent.id, lineage=told
    )
    with registry.ledger.database.read() as session:
        kept = session.get(ModelVersion, child.id)
    assert kept is not None
    assert (kept.label, kept.job_id, kept.parent_id, kept.dataset_version_id) == (
        "drawer@2",
        "job_1",
        parent.id,
        dataset.id,
    )
    assert kept.lineage == json.loads(json.dumps(told))
    assert registry.trained("drawer", b"child").id == child.id, "the same step done twice makes it once"


def test_the_code_is_known_by_version_revision_and_content() -> None:
    code = code_version()
    assert len(code["sources_sha256"]) == 64
    assert code["version"]
    assert code["revision"] is None or len(code["revision"]) == 40
    assert {"python", "torch"} <= set(library_versions())


@on_sqlite
def test_a_card_tells_the_facts_and_is_written_anew_when_the_model_was_measured(
    registry: Registry, tmp_path: Path
) -> None:
    database, store = registry.ledger.database, registry.store
    dataset = registry.dataset()
    version = registry.trained("drawer", b"child", dataset_version_id=dataset.id, lineage=lineage())
    renew_card(database, store, version.id)
    card = read_card(registry, version)
    assert "# Model card: drawer@1" in card
    assert "It has not been measured yet." in card
    assert "| train | 160 | 300 | 200 |" in card
    assert "200 people: few" in card
    assert "drawer@1, `" + "b" * 64 in card
    assert "train \\| drawer" in card, "a name must not end a cell"
    assert "validation/total 0.12 at step 400" in card
    assert "Do not identify, judge or depict anybody" in card

    fetched = fetch_model(store, version, tmp_path / "cache") / "model.safetensors"
    written_at = fetched.stat().st_mtime_ns
    registry.evaluation(version, dataset, {"matching.voice_to_face.2": metric(0.81, 0.78, 0.84)})
    renew_card(database, store, version.id)
    renew_card(database, store, version.id)
    card = read_card(registry, version)
    assert "### On clips@1, test" in card
    row = "| `matching.voice_to_face.2` | 81.0 % | 78.0 % – 84.0 % | 100 | 50.0 % | higher is better |"
    assert row in card
    with database.read() as session:
        held = session.get(ModelVersion, version.id)
        assert held is not None
    assert held.sha256 == version.sha256, "another wording is not another model"
    fetch_model(store, held, tmp_path / "cache")
    assert fetched.stat().st_mtime_ns == written_at, "a new card is no reason to fetch weights again"


@on_sqlite
def test_the_card_of_a_model_that_was_brought_in_is_left_alone(registry: Registry) -> None:
    folder = write_model(registry.folder / "own", b"own")
    (folder / "README.md").write_text("my own words")
    version = register_model(registry.ledger.database, registry.store, folder, name="own")
    renew_card(registry.ledger.database, registry.store, version.id)
    assert read_card(registry, version) == "my own words"
    with registry.ledger.database.read() as session:
        assert "What it was trained on is not known here" in card_text(session, version)


@on_sqlite
def test_a_trained_folder_whose_files_belong_to_others_is_refused(registry: Registry) -> None:
    folder = write_model(registry.folder / "torn", b"weights")
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InvalidRequest, match="belongs to other weights"):
        register_trained(
            registry.ledger.database,
            registry.store,
            folder,
            name="torn",
            job_id="job_1",
            parent_id=None,
            dataset_version_id=None,
            lineage={},
        )


@on_sqlite
def test_a_pair_keeps_the_lineage_of_the_training_that_led_to_it(registry: Registry) -> None:
    ears, hand = registry.halves()
    origin = Origin("job_1", ears.id, None, lineage())
    pair = pair_models(
        registry.ledger.database,
        registry.store,
        encoder=ears.label,
        decoder=hand.label,
        name="pair",
        job_id=origin.job_id,
        parent_id=origin.parent_id,
        lineage=origin.lineage,
    )
    renew_card(registry.ledger.database, registry.store, pair.id)
    assert (pair.job_id, pair.parent_id) == ("job_1", ears.id)
    assert "ears@1 and hand@1" in read_card(registry, pair)


def test_registrations_at_once_get_versions_of_their_own_and_lose_no_file(registry: Registry) -> None:
    failed: list[BaseException] = []
    start = threading.Barrier(4)
    database, store = registry.ledger.database, registry.store
    folders = [
        write_model(registry.folder / f"folder-{number}", b"same" * (number // 2 + 1)) for number in range(3)
    ]

    def enter(folder: Path) -> None:
        try:
            start.wait(20)
            register_model(database, store, folder, name="drawer")
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=enter, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    start.wait(20)
    for _ in range(4):  # as if everything that no version is made of were a day old
        remove_unregistered_files(database, store, older_than=timedelta(days=-1))
    for thread in threads:
        thread.join(60)
    assert failed == []
    with database.read() as session:
        versions = session.query(ModelVersion).order_by(ModelVersion.version).all()
    assert [version.version for version in versions] == [1, 2]
    assert all(store.exists(file["key"]) for version in versions for file in version.files)
