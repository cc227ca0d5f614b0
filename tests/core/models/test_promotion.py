"""Aliases: moved with a reason, moved back, and never in two directions at once."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import Conflict, InvalidRequest, NotFound
from core.ledger.tables import Alias, ModelVersion
from core.ledger.training_tables import AliasMove
from core.models.promotion import moves_of, promote, rollback, rollback_target
from core.models.registry import PRODUCTION, pair_models, register_model, resolve_model
from core.people.audit import list_entries
from core.store import Store
from tests.core.models.registry_place import Registry, on_sqlite, write_model
from tests.factories import Ledger


@pytest.fixture
def versions(registry: Registry) -> list[ModelVersion]:
    """Four versions that draw; the first is in production."""
    made = [registry.model("drawer", f"weights {number}".encode()) for number in range(4)]
    with registry.ledger.database.write() as session:
        promote(session, PRODUCTION, made[0], actor="user_ada", reason="the first")
    return made


def pointed_at(registry: Registry, alias: str = PRODUCTION) -> str:
    with registry.ledger.database.read() as session:
        return resolve_model(session, alias).label


def move(registry: Registry, version: ModelVersion, alias: str = PRODUCTION, **more: bool) -> AliasMove:
    with registry.ledger.database.write() as session:
        return promote(session, alias, version, actor="user_ada", reason="better", **more)


def back(registry: Registry, **more: ModelVersion) -> AliasMove:
    with registry.ledger.database.write() as session:
        return rollback(session, PRODUCTION, actor="user_bob", reason="worse", **more)


def test_rolling_back_twice_goes_further_back_and_ends_where_nothing_is_left(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    move(registry, versions[1])
    move(registry, versions[2])
    assert back(registry).new_version_id == versions[1].id
    assert back(registry).new_version_id == versions[0].id
    with pytest.raises(Conflict, match="points at drawer@1, and there is nothing left to roll back to"):
        back(registry)
    move(registry, versions[3])
    back(registry)
    assert pointed_at(registry) == "drawer@1", "what was rolled back over is not visited again"


@on_sqlite
def test_every_move_is_written_down_and_audited(registry: Registry, versions: list[ModelVersion]) -> None:
    move(registry, versions[1])
    back(registry)
    with registry.ledger.database.read() as session:
        moves = moves_of(session, PRODUCTION)
        entries = list_entries(session)
    assert [(one.kind, one.old_version_id, one.new_version_id, one.actor, one.reason) for one in moves] == [
        ("rollback", versions[1].id, versions[0].id, "user_bob", "worse"),
        ("promote", versions[0].id, versions[1].id, "user_ada", "better"),
        ("create", None, versions[0].id, "user_ada", "the first"),
    ]
    assert [(one.action, one.subject, one.details["before"]) for one in entries] == [
        ("model.rollback", "drawer@1", "drawer@2"),
        ("model.promote", "drawer@2", "drawer@1"),
        ("model.promote", "drawer@1", None),
    ]


@on_sqlite
def test_promoting_what_is_there_already_changes_nothing(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    first = move(registry, versions[1])
    assert move(registry, versions[1]).id == first.id
    with registry.ledger.database.read() as session:
        assert len(moves_of(session, PRODUCTION)) == 2


@on_sqlite
def test_a_rollback_that_is_sent_twice_happens_once(registry: Registry, versions: list[ModelVersion]) -> None:
    move(registry, versions[1])
    move(registry, versions[2])
    first = back(registry, expected=versions[2])
    assert back(registry, expected=versions[2]).id == first.id
    assert pointed_at(registry) == "drawer@2"
    with pytest.raises(Conflict, match="points at drawer@2 by now, not at drawer@4"):
        back(registry, expected=versions[3])


@on_sqlite
def test_an_alias_from_before_moves_were_written_down_rolls_back_to_where_it_was(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    with registry.ledger.database.write() as session:
        session.query(AliasMove).delete()
    move(registry, versions[2])
    assert back(registry).new_version_id == versions[0].id


@on_sqlite
def test_the_alias_that_comes_with_a_model_has_a_history_from_its_first_day(
    ledger: Ledger, store: Store, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "first", b"first")
    first = register_model(ledger.database, store, folder, name="default", alias=PRODUCTION)
    register_model(ledger.database, store, folder, name="default", alias=PRODUCTION)
    with ledger.database.read() as session:
        assert [(one.kind, one.new_version_id) for one in moves_of(session, PRODUCTION)] == [
            ("create", first.id)
        ]
        assert rollback_target(session, PRODUCTION) is None


@on_sqlite
def test_versions_that_were_deleted_are_passed_over_on_the_way_back(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    move(registry, versions[1])
    move(registry, versions[2])
    with registry.ledger.database.write() as session:
        gone = session.get(ModelVersion, versions[1].id)
        assert gone is not None
        gone.deleted_at = gone.created_at
    assert back(registry).new_version_id == versions[0].id
    with registry.ledger.database.read() as session:
        assert rollback_target(session, PRODUCTION) is None


@on_sqlite
def test_what_draws_nothing_is_never_production(registry: Registry, versions: list[ModelVersion]) -> None:
    ears, hand = registry.halves()
    for force in (False, True):
        with pytest.raises(
            InvalidRequest, match=r"ears@1 draws nothing by itself, so it cannot be production"
        ):
            move(registry, ears, force=force)
    pair = pair_models(
        registry.ledger.database, registry.store, encoder=ears.label, decoder=hand.label, name="pair"
    )
    move(registry, pair)
    move(registry, ears, "best-ears")
    assert (pointed_at(registry), pointed_at(registry, "best-ears")) == ("pair@1", "ears@1")


@on_sqlite
def test_an_alias_changes_what_it_draws_from_only_by_force(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    with registry.ledger.database.write() as session:
        session.add(
            ModelVersion(
                id="model_mirror",
                name="mirror",
                version=1,
                sha256="1" * 64,
                files=[],
                config={"kind": "pair", "input": "face"},
                created_at=versions[0].created_at,
            )
        )
    with registry.ledger.database.read() as session:
        mirror = resolve_model(session, "mirror")
    with pytest.raises(InvalidRequest, match="draws from voices, and mirror@1 draws from pictures of faces"):
        move(registry, mirror)
    assert pointed_at(registry) == "drawer@1"
    move(registry, mirror, force=True)
    assert pointed_at(registry) == "mirror@1"
    back(registry)
    assert pointed_at(registry) == "drawer@1"


@on_sqlite
def test_an_alias_is_not_named_like_a_model_or_like_nothing_at_all(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    for wrong, words in (
        ("drawer", "is the name of a model"),
        ("a@b", "no name for an alias"),
        ("", "no name"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            move(registry, versions[0], wrong)
    with pytest.raises(NotFound), registry.ledger.database.write() as session:
        rollback(session, "nowhere", actor="user_ada")
    with registry.ledger.database.read() as session:
        assert [*session.scalars(select(Alias.name))] == [PRODUCTION]


def test_promotions_at_once_leave_one_consistent_history(
    registry: Registry, versions: list[ModelVersion]
) -> None:
    start = threading.Barrier(3)
    failed: list[BaseException] = []

    def again_and_again(version: ModelVersion, alias: str) -> None:
        try:
            start.wait(60)
            for _ in range(5):
                move(registry, version, alias)
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    # An alias that is there, and one that all of them make at once.
    for alias in (PRODUCTION, "candidate"):
        threads = [threading.Thread(target=again_and_again, args=(one, alias)) for one in versions[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        with registry.ledger.database.read() as session:
            moves = list(reversed(moves_of(session, alias)))
            assert moves[-1].new_version_id == resolve_model(session, alias).id
        assert moves[0].kind == "create"
        for one, following in itertools.pairwise(moves):
            assert following.old_version_id == one.new_version_id, "each begins where the one before ended"
