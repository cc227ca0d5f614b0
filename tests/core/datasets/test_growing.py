"""Plans that grow: nothing moves between shards or between parts of the split, whatever comes and in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.datasets.growing import grow
from core.datasets.layouts import Settled, SourceFile, plan_files
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe, SplitRecipe, VoiceRecipe
from core.datasets.splits import join_people

RECIPE = Recipe(shard_entries=4)


def files(people: range, clips: int = 2, *, first_clip: int = 0) -> list[SourceFile]:
    made = []
    for person in people:
        made += [
            SourceFile(f"p{person:03}/{clip}.wav", f"{person:032}{clip:032}")
            for clip in range(first_clip, first_clip + clips)
        ]
        if first_clip == 0:
            made.append(SourceFile(f"p{person:03}/face.png", f"{person:032}{999:032}"))
    return made


def settled_by(plan: Plan) -> Settled:
    people = {person.name: (person.id, person.split) for person in plan.people}
    return Settled(people, frozenset(entry.key for entry in plan.entries))


def grown(earlier: Plan, all_files: list[SourceFile], recipe: Recipe = RECIPE) -> Plan:
    return grow(earlier, plan_files(all_files, recipe, settled=settled_by(earlier)))


def inputs(plan: Plan) -> list[str]:
    return [shard.inputs_sha256(plan.recipe) for shard in plan.shards()]


def test_shards_that_were_there_stay_and_new_ones_come_after_them() -> None:
    first = plan_files(files(range(20)), RECIPE)
    second = grown(first, files(range(25)))
    assert inputs(second)[: len(inputs(first))] == inputs(first)
    assert len(inputs(second)) > len(inputs(first))
    assert {entry.key for entry in second.entries} == {file.path for file in files(range(25))}
    assert Plan.from_bytes(second.to_bytes()) == second
    assert Plan.from_bytes(second.to_bytes()).shards() == second.shards()


def test_nothing_new_is_the_same_plan_however_often_it_is_asked_for() -> None:
    first = plan_files(files(range(20)), RECIPE)
    assert grown(first, files(range(20))).sha256 == first.sha256
    second = grown(first, files(range(25)))
    assert grown(second, files(range(25))[::-1]).sha256 == second.sha256


def test_a_plan_that_never_grew_has_the_name_it_has_always_had() -> None:
    assert b"sizes" not in plan_files(files(range(3)), RECIPE).to_bytes()


def test_more_recordings_of_somebody_who_is_there_go_where_that_person_is() -> None:
    first = plan_files(files(range(10)), RECIPE)
    second = grown(first, files(range(10)) + files(range(10), first_clip=2))
    assert {p.name: p.split for p in second.people} == {p.name: p.split for p in first.people}
    assert inputs(second)[: len(inputs(first))] == inputs(first)


def test_an_input_that_is_gone_costs_its_shard_alone() -> None:
    first = plan_files(files(range(20)), RECIPE)
    without = [file for file in files(range(20)) if file.path != first.shards()[1].entries[0].key]
    second = grown(first, without)
    changed = [
        number for number, (a, b) in enumerate(zip(inputs(first), inputs(second), strict=True)) if a != b
    ]
    assert changed == [1]


def test_recordings_taken_before_stay_where_only_so_many_of_a_person_are() -> None:
    recipe = RECIPE.model_copy(update={"voice": VoiceRecipe(max_clips=2)})
    late = [file for file in files(range(5), 3) if not file.path.endswith("0.wav")]
    first = plan_files(late, recipe)
    second = grown(first, files(range(5), 3), recipe)
    assert inputs(second) == inputs(first)
    assert Counter(one.reason for one in second.left_out) == {"clip_limit": 5}


def test_a_name_that_becomes_like_another_one_takes_no_id_away() -> None:
    def of(*names: str) -> list[SourceFile]:
        return [SourceFile(f"{name}/{what}", "0" * 64) for name in names for what in ("a.wav", "b.png")]

    first = plan_files(of("José"), RECIPE)
    second = plan_files(of("José", "Jose"), RECIPE, settled=settled_by(first))
    assert {p.name: p.id for p in second.people} == {"José": "Jose", "Jose": "Jose-2"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_nobody_ever_changes_parts_and_the_shares_come_true(steps: list[int]) -> None:
    count = steps[0]
    plan = plan_files(files(range(count), 1), RECIPE)
    seen = {person.name: person.split for person in plan.people}
    for step in steps[1:]:
        count += step
        plan = grown(plan, files(range(count), 1))
        now = {person.name: person.split for person in plan.people}
        assert {name: now[name] for name in seen} == seen
        seen = now
    parts = Counter(seen.values())
    for part, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert abs(parts[part] - share * count) < 2  # type: ignore[index]


def test_people_who_come_one_by_one_still_reach_every_part_of_every_group() -> None:
    recipe = SplitRecipe(train=0.6, validation=0.2, test=0.2, by=("gender",))
    there: list[tuple[dict[str, str], str]] = []
    for number in range(50):
        who = {"gender": "female" if number % 2 else "male"}
        part = join_people({f"p{number}": who}, there, recipe)[f"p{number}"]  # type: ignore[arg-type]
        there.append((who, part))
    counts = Counter((who["gender"], part) for who, part in there)
    assert counts["female", "train"] == counts["male", "train"] == 15
    assert {counts[gender, part] for gender in ("female", "male") for part in ("validation", "test")} == {5}


def test_shards_of_sizes_that_cannot_be_are_refused() -> None:
    plan = plan_files(files(range(10)), RECIPE)
    with pytest.raises(ValueError, match="cannot hold"):
        replace(plan, sizes=(1, 2)).shards()
    with pytest.raises(ValueError, match="of one split"):
        replace(plan, sizes=(len(plan.entries),)).shards()
