"""Models that a worker keeps loaded: two at most, none for longer than it is wanted, fewer where memory is short."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path

import psutil
import pytest

from worker.kept_models import KeptModels, is_memory_short


class Model:
    """Stands for one; who holds it is what is looked at here."""


def kept(
    *versions: str, idle_seconds: float = 0.0, short: bool = False, look_seconds: float = 3600.0
) -> KeptModels[Model]:
    models: KeptModels[Model] = KeptModels(
        idle_seconds=idle_seconds, look_seconds=look_seconds, is_short=lambda _: short
    )
    for version in versions:
        models.keep(version, Model())
    return models


def test_of_three_models_the_one_that_was_not_used_for_longest_goes() -> None:
    models = kept("a", "b", idle_seconds=3600)
    assert models.get("a") is not None
    models.keep("c", Model())
    assert [models.get(version) is not None for version in "abc"] == [True, False, True]


def test_what_was_not_used_for_long_goes_and_what_was_used_last_stays() -> None:
    models = kept("a", "b")
    assert models.forget_idle()
    assert [models.get(version) is not None for version in "ab"] == [False, True]


def test_what_was_used_lately_stays() -> None:
    models = kept("a", "b", idle_seconds=3600, short=True)
    assert models.forget_idle()
    assert len(models) == 2


def test_where_memory_is_short_what_was_used_last_goes_as_well() -> None:
    models = kept("a", "b", short=True)
    assert not models.forget_idle()
    assert len(models) == 0


@pytest.mark.parametrize(("short", "left"), [(True, 0), (False, 1)])
def test_a_model_is_loaded_after_the_others_have_gone_where_memory_is_short(short: bool, left: int) -> None:
    models = kept("a", idle_seconds=3600, short=short)
    models.make_room(1)
    assert len(models) == left


def test_nothing_holds_a_model_that_was_forgotten_and_its_memory_is_given_back() -> None:
    given_back: list[bool] = []
    models: KeptModels[Model] = KeptModels(
        idle_seconds=0.0, look_seconds=0.01, let_go=lambda: given_back.append(True), is_short=lambda _: True
    )
    model = Model()
    held = weakref.ref(model)
    models.keep("a", model)
    del model
    until = time.monotonic() + 30
    while held() is not None and time.monotonic() < until:  # the thread that looks lets go of it by itself
        gc.collect()
        time.sleep(0.01)
    assert held() is None
    assert given_back


def test_what_a_worker_kept_goes_with_the_worker() -> None:
    models = kept("a")
    held = weakref.ref(models.get("a"))
    del models
    gc.collect()
    assert held() is None


def test_memory_is_short_by_what_the_machine_has_left(tmp_path: Path) -> None:
    assert is_memory_short(psutil.virtual_memory().total, tmp_path)
    assert is_memory_short(-(1 << 40), tmp_path) is False


def test_memory_is_short_by_the_limit_of_the_container(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("990000000\n")
    (tmp_path / "memory.stat").write_text("anon 100000000\ninactive_file 5000000\n")
    assert is_memory_short(0, tmp_path)
    (tmp_path / "memory.stat").write_text("anon 100000000\ninactive_file 800000000\n")
    assert not is_memory_short(0, tmp_path), "files that the kernel keeps for nobody are room"
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.stat").write_text("")
    assert not is_memory_short(-(1 << 40), tmp_path)
