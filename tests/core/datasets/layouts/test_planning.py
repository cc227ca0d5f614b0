"""Plans: what is taken, what is left out and why, who is named how, and that nothing but the files decides."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.datasets.layouts import LAYOUTS, LayoutOptions, SourceFile, plan_files, plan_folder
from core.datasets.plan import Plan
from core.datasets.recipes import Recipe, SplitRecipe, VoiceRecipe
from core.errors import InvalidRequest
from tests.core.datasets.layouts.trees import (
    BOTH,
    FACES,
    ONE_SIDED,
    VOICES,
    grow,
    keys_of,
    left_out,
    names_of,
)


def sent(*paths: str) -> list[SourceFile]:
    return [SourceFile(path, source="0" * 64) for path in paths]


def test_one_folder_for_each_person_is_enough(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav", "Ann/deep/down/b.FLAC", "Ann/a.JPeG", "Bob/1.m4a", "Bob/1.png")
    plan = plan_folder(tmp_path, BOTH)
    assert plan.layout == "folders"
    assert names_of(plan) == ["Ann", "Bob"]
    assert keys_of(plan, "Ann") == ["Ann/a.wav", "Ann/deep/down/b.FLAC", "Ann/a.JPeG"]
    assert [entry.form for entry in plan.entries] == [
        "recording",
        "recording",
        "picture",
        "recording",
        "picture",
    ]
    assert plan.left_out == ()


def test_everything_that_is_not_taken_is_named_with_a_reason(tmp_path: Path) -> None:
    grow(
        tmp_path, "Ann/a.wav", "Ann/a.jpg", "Ann/notes.txt", "lost.wav", "Bob/b.wav", "Cy/c.png", "Ann/x.npy"
    )
    plan = plan_folder(tmp_path, BOTH)
    assert names_of(plan) == ["Ann"]
    assert left_out(plan) == {
        "Ann/notes.txt": "not_media",
        "Ann/x.npy": "not_media",
        "lost.wav": "no_person",
        "Bob/b.wav": "no_pair",
        "Cy/c.png": "no_pair",
    }
    assert "Bob" in next(one.message for one in plan.left_out if one.key == "Bob/b.wav")


def test_nothing_is_taken_and_left_out_at_once(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav", "Ann/a.jpg", "Ann/a_embedding.npy", "Ann/z.md", "Bob/b.wav", "x.csv")
    plan = plan_folder(tmp_path, BOTH)
    taken = [entry.key for entry in plan.entries]
    taken += [key for entry in plan.entries for key, _ in entry.companions.values()]
    told = [one.key for one in plan.left_out]
    assert sorted(taken + told) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_people_with_one_side_are_taken_where_that_is_wanted(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav", "Bob/b.png")
    assert names_of(plan_folder(tmp_path, ONE_SIDED)) == ["Ann", "Bob"]
    assert names_of(plan_folder(tmp_path, VOICES)) == ["Ann"]
    assert left_out(plan_folder(tmp_path, FACES)) == {"Ann/a.wav": "not_wanted"}


def test_clips_of_any_name_are_kept_and_limited_only_on_request(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/interview, part two.wav", *(f"Ann/{n}.wav" for n in (1, 2, 10, 30)), "Bob/x.wav")
    assert len(keys_of(plan_folder(tmp_path, VOICES), "Ann")) == 5
    plan = plan_folder(tmp_path, Recipe(voice=VoiceRecipe(max_clips=3), face=None))
    assert keys_of(plan, "Ann") == ["Ann/1.wav", "Ann/2.wav", "Ann/10.wav"]
    assert set(left_out(plan).values()) == {"clip_limit"}
    assert len(left_out(plan)) == 2


def test_an_empty_dataset_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav", "Bob/b.wav", "c.txt")
    with pytest.raises(InvalidRequest, match=r"3 files, of which 2 are recordings, 0 pictures") as caught:
        plan_folder(tmp_path, BOTH)
    assert "2 no_pair" in caught.value.message
    with pytest.raises(InvalidRequest, match="nothing to prepare"):
        plan_files([], BOTH)


def test_the_order_of_listing_does_not_matter(tmp_path: Path) -> None:
    paths = [f"p{n % 13}/{n}.{'wav' if n % 2 else 'jpg'}" for n in range(200)]
    first = plan_files(sent(*paths), BOTH)
    random.Random(3).shuffle(paths)
    assert plan_files(sent(*paths), BOTH).to_bytes() == first.to_bytes()
    assert Plan.from_bytes(first.to_bytes()) == first


def test_a_folder_and_the_same_files_sent_make_the_same_entries(tmp_path: Path) -> None:
    paths = ["Ann/a.wav", "Ann/a.jpg", "Bob/b.wav", "Bob/b.jpg", "Bob/note.txt"]
    here, there = plan_folder(grow(tmp_path, *paths), BOTH), plan_files(sent(*paths), BOTH)
    assert [entry.key for entry in here.entries] == [entry.key for entry in there.entries]
    assert here.people == there.people
    assert here.left_out == there.left_out
    assert {entry.source for entry in here.entries} == {None}
    assert {entry.source for entry in there.entries} == {"0" * 64}


@pytest.mark.parametrize(
    "path",
    [
        "../x/a.wav",
        "/etc/a.wav",
        "x/../../a.wav",
        "C:/a.wav",
        "x\\a.wav",
        "x//a.wav",
        "./x/a.wav",
        "x/\0.wav",
    ],
)
def test_paths_that_leave_the_folder_are_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="no paths inside a folder"):
        plan_files(sent("Ann/a.wav", path), VOICES)


def test_the_same_path_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"more than once: 'Ann/a\.wav'"):
        plan_files(sent("Ann/a.wav", "Ann/b.wav", "Ann/a.wav"), VOICES)


def test_files_that_could_not_be_sent_are_left_out_with_their_reason() -> None:
    refused = SourceFile("Ann/b.wav", refused=("too_large", "This file is larger than 512 MiB."))
    plan = plan_files([*sent("Ann/a.wav"), refused], VOICES)
    assert [(one.key, one.reason, one.message) for one in plan.left_out] == [
        ("Ann/b.wav", "too_large", "This file is larger than 512 MiB.")
    ]


def test_an_input_that_was_forgotten_when_sending_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"1 files were not sent but are needed: 'Ann/b\.wav'"):
        plan_files([*sent("Ann/a.wav"), SourceFile("Ann/b.wav")], VOICES)


def test_unknown_layouts_are_told_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest, match="There are: auto, voxceleb1"):
        plan_files(sent("Ann/a.wav"), VOICES, "voxceleb3")
    assert LAYOUTS[0] == "auto"


def test_people_whose_names_clash_stay_apart_and_keep_their_names(tmp_path: Path) -> None:
    grow(tmp_path, "José/a.wav", "Jose/a.wav", "jose/b.wav", "王菲/a.wav", "con/a.wav", "😀!/a.wav")
    plan = plan_folder(tmp_path, VOICES)
    ids = {person.name: person.id for person in plan.people}
    assert ids == {
        "Jose": "Jose",
        "jose": "jose-2",
        "José": "Jose-3",
        "王菲": "WangFei",
        "con": "person-con",
        "😀!": "_grinning_",
    }
    assert keys_of(plan, "José") == ["José/a.wav"]


def test_names_that_are_not_utf8_are_told_and_the_rest_is_prepared(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav")
    bad = tmp_path / "Ann" / b"b\xff.wav".decode("utf-8", "surrogateescape")
    bad.write_bytes(b"")
    plan = plan_folder(tmp_path, VOICES)
    assert [(one.key, one.reason) for one in plan.left_out] == [("Ann/b�.wav", "unreadable_file")]
    assert plan.to_bytes()


def test_hidden_files_and_circles_of_links_are_passed_by(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav", "Ann/.b.wav", ".git/c.wav")
    (tmp_path / "Ann" / "loop").symlink_to(tmp_path)
    plan = plan_folder(tmp_path, VOICES)
    assert [entry.key for entry in plan.entries] == ["Ann/a.wav"]
    assert plan.left_out == ()


def test_a_link_to_nothing_is_an_input_that_will_be_told(tmp_path: Path) -> None:
    grow(tmp_path, "Ann/a.wav")
    (tmp_path / "Ann" / "b.wav").symlink_to(tmp_path / "gone.wav")
    assert keys_of(plan_folder(tmp_path, VOICES), "Ann") == ["Ann/a.wav", "Ann/b.wav"]


def test_folders_of_parts_and_sides_are_looked_through(tmp_path: Path) -> None:
    grow(tmp_path, "train/Ann/a.wav", "val/Bob/a.wav", "test/Cy/a.wav")
    plan = plan_folder(tmp_path, VOICES)
    assert {person.name: person.split for person in plan.people} == {
        "Ann": "train",
        "Bob": "validation",
        "Cy": "test",
    }
    other = tmp_path / "other"
    grow(other, "voices/Ann/a.wav", "faces/Ann/a.jpg", "voices/Bob/a.wav", "faces/Bob/a.jpg")
    assert names_of(plan_folder(other, BOTH)) == ["Ann", "Bob"]


def test_somebody_in_two_parts_is_divided_anew(tmp_path: Path) -> None:
    grow(tmp_path, "train/Ann/a.wav", "test/Ann/b.wav", "test/Bob/a.wav")
    plan = plan_folder(tmp_path, VOICES)
    assert names_of(plan) == ["Ann", "Bob"]
    assert len(keys_of(plan, "Ann")) == 2


def test_splitting_by_what_is_known_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Nobody has the attribute 'gender'"):
        plan_files(sent("Ann/a.wav"), Recipe(face=None, split=SplitRecipe(by=("gender",))))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="There is no folder"):
        plan_folder(tmp_path / "nowhere", BOTH)
    with pytest.raises(InvalidRequest, match="neither a folder nor a manifest"):
        plan_folder(grow(tmp_path, "a.wav") / "a.wav", BOTH)


def test_shards_hold_one_part_each_and_every_entry_once(tmp_path: Path) -> None:
    recipe = Recipe(face=None, shard_entries=8)
    plan = plan_files(sent(*(f"p{n % 40:02}/{n}.wav" for n in range(400))), recipe)
    shards = plan.shards()
    assert [entry.key for shard in shards for entry in shard.entries if shard.split == "test"]
    assert sorted(entry.key for shard in shards for entry in shard.entries) == sorted(
        entry.key for entry in plan.entries
    )


def test_two_layouts_that_fit_are_asked_about(tmp_path: Path) -> None:
    grow(
        tmp_path,
        *("Ann/audios/a.wav", "Ann/images/a.jpg"),
        tables={"manifest.csv": "person,path\nAnn,Ann/audios/a.wav\n"},
    )
    with pytest.raises(InvalidRequest, match=r"original \(.*manifest \(manifest\.csv\).*Choose the layout"):
        plan_folder(tmp_path, BOTH)
    assert plan_folder(tmp_path, BOTH, "original").layout == "original"
    assert plan_folder(tmp_path, VOICES, "manifest", LayoutOptions()).layout == "manifest"
