"""Models that jobs trained: where they come from, their cards, and files that vanish under one's hands."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from core.config import Settings
from core.errors import InvalidRequest
from core.ledger.tables import ModelVersion
from core.models.cards import card_text, renew_card
from core.models.deletion import remove_unregistered_files
from core.models.files import files_of_folder
from core.models.lineage import code_version, describe, library_versions
from core.models.registry import Origin, fetch_model, pair_models, register_model, register_trained
from core.store import Store
from core.training.specs import DefaultModelTask, TrainSpec
from tests.core.models.registry_place import Registry, metric, on_sqlite, write_model


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


class StoreWithLeftovers(Store):
    """Files that were there when it was opened look two days old, until somebody writes them anew."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.old = {key for key, _ in super().ages("")}

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for key, changed_at in super().ages(prefix):
            yield key, changed_at - timedelta(days=2 if key in self.old else 0)

    def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
        super().put_file(key, file, media_type)
        self.old.discard(key)


@on_sqlite
def test_a_sweep_leaves_a_file_that_was_sent_anew_since_it_was_listed(
    registry: Registry, settings: Settings
) -> None:
    folder = write_model(registry.folder / "late", b"late")
    weights = files_of_folder(folder)[1][1]
    registry.store.put(weights.key, b"late", "application/octet-stream")

    class Overtaken(StoreWithLeftovers):
        def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
            listed = list(super().ages(prefix))
            if (
                prefix != weights.key
            ):  # the sweep's list: by the time it acts upon it, a registration was here
                with (folder / weights.name).open("rb") as content:
                    self.put_file(weights.key, content, "application/octet-stream")
            return iter(listed)

    assert remove_unregistered_files(registry.ledger.database, Overtaken(settings)) == 0
    assert registry.store.get(weights.key) == b"late"
    left_alone = StoreWithLeftovers(settings)
    assert remove_unregistered_files(registry.ledger.database, left_alone) == 1, "and an old one goes"


def test_a_sweep_waits_for_a_registration_that_has_looked_for_its_files(
    registry: Registry, settings: Settings
) -> None:
    folder = write_model(registry.folder / "lying-there", b"lying there")
    for file in files_of_folder(folder)[1]:
        registry.store.put(file.key, (folder / file.name).read_bytes(), "application/octet-stream")
    database = registry.ledger.database
    sweep = threading.Thread(target=lambda: remove_unregistered_files(database, StoreWithLeftovers(settings)))

    class Watched(StoreWithLeftovers):
        looked = 0

        def exists(self, key: str) -> bool:
            found = super().exists(key)
            self.looked += 1
            if (
                self.looked == 4
            ):  # each of the two files was looked for, and once more: now they are counted on
                sweep.start()
                sweep.join(1)
            return found

    version = register_model(database, Watched(settings), folder, name="drawer")
    sweep.join(60)
    assert not sweep.is_alive()
    assert all(registry.store.exists(file["key"]) for file in version.files)


def test_registrations_at_once_get_versions_of_their_own_and_lose_no_file(
    registry: Registry, settings: Settings
) -> None:
    database = registry.ledger.database
    failed: list[BaseException] = []
    folders = [
        write_model(registry.folder / f"folder-{number}", b"same" * (number // 2 + 1)) for number in range(3)
    ]
    # The same content lies there from something that was never registered, and is due to be tidied away.
    for folder in folders:
        for file in files_of_folder(folder)[1]:
            registry.store.put(file.key, (folder / file.name).read_bytes(), "application/octet-stream")
    store = StoreWithLeftovers(settings)

    def enter(folder: Path) -> None:
        try:
            register_model(database, store, folder, name="drawer")
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=enter, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        remove_unregistered_files(database, store)
    assert failed == []
    with database.read() as session:
        versions = session.query(ModelVersion).order_by(ModelVersion.version).all()
    assert [version.version for version in versions] == [1, 2]
    assert all(store.exists(file["key"]) for version in versions for file in version.files)
