"""Manifests of datasets: columns recognised by what is in them, contradictions told with their lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.datasets.layouts import LayoutOptions, plan_folder
from core.datasets.recipes import Recipe, SplitRecipe
from core.errors import InvalidManifest, InvalidRequest
from tests.core.datasets.layouts.trees import BOTH, FACES, VOICES, grow, keys_of, left_out, names_of

MEDIA = ("v/1.flac", "v/2.flac", "f/1.jpg", "f/2.jpg")


def write(folder: Path, text: str, *more: str, name: str = "manifest.csv") -> Path:
    return grow(folder, *MEDIA, *more, tables={name: text})


def refused(folder: Path, recipe: Recipe = BOTH, **columns: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        plan_folder(folder, recipe, "manifest", LayoutOptions(columns=columns))
    return caught.value.message


def test_a_line_may_name_a_voice_and_a_face(tmp_path: Path) -> None:
    write(tmp_path, "identity,gender,voice,face\nAnn,female,v/1.flac,f/1.jpg\nBob,male,./v/2.flac,f\\2.jpg\n")
    plan = plan_folder(tmp_path, BOTH)
    assert (plan.layout, names_of(plan)) == ("manifest", ["Ann", "Bob"])
    assert keys_of(plan, "Bob") == ["v/2.flac", "f/2.jpg"]
    assert plan.people[0].attributes == {"gender": "female"}
    assert plan.left_out == ()


def test_a_line_may_name_one_file_whose_side_its_ending_tells(tmp_path: Path) -> None:
    write(tmp_path, "path;person\nv/1.flac;Ann\nf/1.jpg;Ann\nv/2.flac;Bob\nf/2.jpg;Bob\n")
    plan = plan_folder(tmp_path, BOTH)
    assert [(entry.person, entry.side) for entry in plan.entries] == [
        *(("Ann", "voice"), ("Ann", "face"), ("Bob", "voice"), ("Bob", "face"))
    ]


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    rows = [{"person": 7, "path": "v/1.flac", "age": 41}, {"person": 7, "path": "f/1.jpg", "age": 41}]
    write(tmp_path, "\n\n".join(map(json.dumps, rows)), name="people.jsonl")
    plan = plan_folder(tmp_path, BOTH)
    assert names_of(plan) == ["7"]
    assert plan.people[0].attributes == {"age": "41"}


def test_arrays_are_of_the_side_that_the_line_or_the_column_says(tmp_path: Path) -> None:
    grow(tmp_path, "a.npy", "b.npy", tables={"m.csv": "person,path,side\nAnn,a.npy,voice\nAnn,b.npy,face\n"})
    assert [entry.side for entry in plan_folder(tmp_path, BOTH).entries] == ["voice", "face"]
    (tmp_path / "m.csv").write_text("person,audio,image_file\nAnn,a.npy,b.npy\n")
    assert [(e.side, e.form) for e in plan_folder(tmp_path, BOTH).entries] == [
        ("voice", "array"),
        ("face", "array"),
    ]
    (tmp_path / "m.csv").write_text("person,path\nAnn,a.npy\n")
    assert "line 2 names 'a.npy' and does not say whether" in refused(tmp_path)


def test_several_columns_of_pictures_are_asked_about(tmp_path: Path) -> None:
    write(tmp_path, "identity,voice,original,frontal\nAnn,v/1.flac,f/1.jpg,f/2.jpg\n")
    assert "(original, frontal): say which as column face=NAME" in refused(tmp_path)
    plan = plan_folder(tmp_path, BOTH, options=LayoutOptions(columns={"face": "Frontal"}))
    assert keys_of(plan, "Ann") == ["v/1.flac", "f/2.jpg"]
    assert left_out(plan) == {"f/1.jpg": "not_in_manifest", "v/2.flac": "not_in_manifest"}
    # Nobody has to choose among pictures that are not wanted.
    assert keys_of(plan_folder(tmp_path, VOICES), "Ann") == ["v/1.flac"]


def test_the_column_of_people_may_be_told(tmp_path: Path) -> None:
    write(tmp_path, "who,path\nAnn,v/1.flac\n")
    assert "column identity=NAME" in refused(tmp_path)
    plan = plan_folder(tmp_path, VOICES, "manifest", LayoutOptions(columns={"identity": "who"}))
    assert names_of(plan) == ["Ann"]
    assert "no column 'whom'. It has: who, path" in refused(tmp_path, identity="whom")
    assert "cannot hold 'colour'" in refused(tmp_path, colour="who")


def test_the_split_of_the_manifest_is_kept_or_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        "identity,split,path\nAnn,Train,v/1.flac\nAnn,train,f/1.jpg\nBob,val,v/2.flac\nBob,,f/2.jpg\n",
    )
    plan = plan_folder(tmp_path, BOTH)
    assert [(person.name, person.split) for person in plan.people] == [
        ("Ann", "train"),
        ("Bob", "validation"),
    ]
    split = SplitRecipe(train=0, validation=0, test=1, keep=False)
    assert {p.split for p in plan_folder(tmp_path, Recipe(split=split)).people} == {"test"}


def test_somebody_put_into_two_parts_is_an_error_with_both_lines(tmp_path: Path) -> None:
    write(tmp_path, "identity,split,path\nAnn,train,v/1.flac\nBob,test,v/2.flac\nAnn,test,f/1.jpg\n")
    assert "line 4 puts 'Ann' in test, line 2 put them in train" in refused(tmp_path)


def test_one_picture_of_two_people_is_an_error_and_with_two_voices_it_is_one_input(tmp_path: Path) -> None:
    write(tmp_path, "identity,voice,face\nAnn,v/1.flac,f/1.jpg\nBob,v/2.flac,f/1.jpg\n")
    assert "line 3 gives 'f/1.jpg' to 'Bob', line 2 gave it to 'Ann'" in refused(tmp_path)
    (tmp_path / "manifest.csv").write_text(
        "identity,voice,face\nAnn,v/1.flac,f/1.jpg\nAnn,v/2.flac,f/1.jpg\n"
    )
    assert keys_of(plan_folder(tmp_path, BOTH), "Ann") == ["v/1.flac", "v/2.flac", "f/1.jpg"]


def test_every_bad_line_is_told_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "identity,split,path\nAnn,train,../../etc/passwd.wav\nBob,tset,v/2.flac\nCy,train,/abs.wav\n",
    )
    message = refused(tmp_path)
    assert message.startswith("'manifest.csv' has 3 bad lines; nothing was prepared:")
    assert "line 2 names '../../etc/passwd.wav'" in message
    assert "line 3 has the split 'tset', which is none of train, validation, test" in message
    assert "line 4 names '/abs.wav'" in message


def test_lines_without_a_file_or_a_person_are_left_out_by_name(tmp_path: Path) -> None:
    write(tmp_path, "identity,path\nAnn,v/1.flac\nAnn,v/gone.flac\n,v/2.flac\n")
    plan = plan_folder(tmp_path, VOICES)
    assert left_out(plan) == {
        "v/gone.flac": "bad_metadata",
        "v/2.flac": "no_person",
        "f/1.jpg": "not_in_manifest",
        "f/2.jpg": "not_in_manifest",
    }
    assert "Line 3" in next(one.message for one in plan.left_out if one.key == "v/gone.flac")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"identity,path\nAnn,v/1.flac,x,y\n", "line 2 has 4 cells where the first line has 2"),
        (b"identity,path\nAnn,\xff.flac\n", "line 2 is not UTF-8"),
        ("identity,path".encode("utf-16"), "is UTF-16"),
        (b"\n", "is empty"),
        (
            b"identity,path\n",
            "No column of the manifest names recordings|No column of the manifest names the person",
        ),
        (b'identity,path\nAnn,"v/1.flac\n', "is no row of a table"),
    ],
    ids=["cells", "utf-8", "utf-16", "empty", "header", "quotes"],
)
def test_tables_that_cannot_be_read_are_told(tmp_path: Path, content: bytes, said: str) -> None:
    grow(tmp_path, *MEDIA)
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(InvalidRequest, match=said):
        plan_folder(tmp_path, BOTH, "manifest")


def test_what_lines_of_one_person_disagree_on_is_no_attribute_unless_people_are_split_by_it(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        "identity,clip_id,age,mood,path\nAnn,1,20,calm,v/1.flac\nAnn,2,31,calm,v/2.flac\nAnn,3,30,sad,f/1.jpg\n",
    )
    assert plan_folder(tmp_path, BOTH).people[0].attributes == {}
    by = Recipe(split=SplitRecipe(by=("age", "mood")))
    assert plan_folder(tmp_path, by).people[0].attributes == {
        "age": "27",
        "mood": "calm",
    }


def test_the_path_of_a_manifest_says_which_of_several_is_meant(tmp_path: Path) -> None:
    write(tmp_path, "identity,path\nAnn,v/1.flac\n", name="one.csv")
    write(tmp_path, "identity,path\nBob,v/2.flac\n", name="two.csv")
    assert "several manifests (one.csv, two.csv)" in refused(tmp_path)
    plan = plan_folder(tmp_path / "two.csv", VOICES)
    assert (plan.layout, names_of(plan)) == ("manifest", ["Bob"])


def test_arrays_beside_a_named_picture_belong_to_it(tmp_path: Path) -> None:
    write(tmp_path, "identity,path\nAnn,f/1.jpg\n", "f/1_embedding.npy")
    (entry,) = plan_folder(tmp_path, FACES).entries
    assert entry.companions == {"embedding": ("f/1_embedding.npy", None)}


def test_a_missing_manifest_is_told(tmp_path: Path) -> None:
    assert "There is no manifest" in refused(grow(tmp_path, *MEDIA))


def test_a_manifest_that_was_listed_and_not_sent_is_told(tmp_path: Path) -> None:
    from core.datasets.layouts import SourceFile, plan_files

    files = [SourceFile("m.csv", source="0" * 64), SourceFile("a.wav", source="0" * 64)]
    with pytest.raises(InvalidManifest, match="was not sent"):
        plan_files(files, VOICES, "manifest", LayoutOptions(manifest="m.csv"))


def test_json_that_spells_no_letters_is_told_and_unusual_names_are_fine(tmp_path: Path) -> None:
    write(tmp_path, '{"person": "\\ud800", "path": "v/1.flac"}\n', name="m.jsonl")
    assert "line 1 holds half of a letter" in refused(tmp_path)
    (tmp_path / "m.jsonl").write_text('{"person": "\\ud83d\\ude00 \\u0000", "path": "v/1.flac"}\n')
    plan = plan_folder(tmp_path, VOICES)
    assert names_of(plan) == ["😀 \0"]
    assert type(plan).from_bytes(plan.to_bytes()) == plan
