"""The layouts of published datasets, as their archives unpack."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.datasets.layouts import LayoutOptions, plan_folder
from core.datasets.recipes import Recipe, SplitRecipe
from core.errors import InvalidManifest, InvalidRequest
from tests.core.datasets.layouts.trees import BOTH, FACES, VOICES, grow, keys_of, left_out, names_of

VOX1_META = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\nid10003\tA.R._Rahman\tm\tIndia\ttest\nid10005\tAdèle\tf\tUK\tdev\n"
)
VOX2_META = (
    "VoxCeleb2 ID \tVGGFace2 ID \tGender \tSet \nid00012 \tn000012 \tm \tdev\nid00017 \tn000017 \tf \ttest\n"
)
HQ_META = (
    "Class_ID,Name,Sample_Num,Flag,Gender_x,VoxCeleb2ID,VGGFace2ID,Gender_y,Set\n"
    "n1,Beyoncé,1,1,f,id00012,n000012,f,dev\nn2,Carl,1,1,m,id00017,n000017,m,dev\n"
)
VOX1 = ("wav/id10001/1zcIwhmdeo4/00001.wav", "wav/id10003/VhU_RiCRMUQ/00001.wav")


def test_voxceleb1_is_recognised_with_its_table_of_speakers(tmp_path: Path) -> None:
    grow(tmp_path, f"dev/{VOX1[0]}", f"test/{VOX1[1]}", tables={"vox1_meta.csv": VOX1_META})
    plan = plan_folder(tmp_path, VOICES)
    assert (plan.layout, names_of(plan)) == ("voxceleb1", ["id10001", "id10003"])
    assert plan.people[0].attributes == {
        "gender": "male",
        "name": "A.J._Buckley",
        "nationality": "Ireland",
        "set": "dev",
    }
    assert plan.left_out == ()


def test_the_release_is_told_by_ids_where_recordings_were_converted(tmp_path: Path) -> None:
    grow(tmp_path, "dev/aac/id00012/21Uxsk56VDQ/00001.m4a", tables={"vox2_meta.csv": VOX2_META})
    plan = plan_folder(tmp_path, VOICES)
    assert plan.layout == "voxceleb2"
    assert plan.people[0].attributes == {"gender": "male", "name": "n000012", "set": "dev"}
    converted = grow(tmp_path / "again", "id00012/21Uxsk56VDQ/00001.FLAC")
    assert plan_folder(converted, VOICES).layout == "voxceleb2"


def test_both_releases_in_one_folder_are_asked_about(tmp_path: Path) -> None:
    grow(tmp_path, VOX1[0], "aac/id00012/21Uxsk56VDQ/00001.m4a")
    with pytest.raises(InvalidRequest, match=r"voxceleb1 \(.*voxceleb2 \(.*Choose the layout"):
        plan_folder(tmp_path, VOICES)
    assert names_of(plan_folder(tmp_path, VOICES, "voxceleb2")) == ["id00012", "id10001"]


def test_what_lies_elsewhere_is_told(tmp_path: Path) -> None:
    grow(tmp_path, VOX1[0], "wav/id10001/00002.wav", "readme.txt")
    assert left_out(plan_folder(tmp_path, VOICES)) == {
        "wav/id10001/00002.wav": "no_person",
        "readme.txt": "not_media",
    }


def test_a_broken_table_of_speakers_is_told_with_its_lines(tmp_path: Path) -> None:
    grow(
        tmp_path,
        VOX1[0],
        tables={"vox1_meta.csv": VOX1_META + "somebody\tElse\tm\tUK\tdev\nid10001\tZoe\tf\tUK\tdev\n"},
    )
    with pytest.raises(
        InvalidManifest, match=r"2 bad lines.*\n.*line 5 has no id.*\n.*line 6 names id10001 anew"
    ):
        plan_folder(tmp_path, VOICES)


def test_speakers_are_split_by_the_attributes_of_their_table(tmp_path: Path) -> None:
    rows = "".join(f"id1{n:04}\tName_{n}\t{'mf'[n % 2]}\tUK\tdev\n" for n in range(40))
    grow(
        tmp_path,
        *(f"wav/id1{n:04}/v/1.wav" for n in range(40)),
        tables={"vox1_meta.csv": VOX1_META.split("\n")[0] + "\n" + rows},
    )
    plan = plan_folder(tmp_path, Recipe(face=None, split=SplitRecipe(by=("gender",))))
    women = [person.split for person in plan.people if person.attributes["gender"] == "female"]
    assert (women.count("train"), women.count("validation"), women.count("test")) == (16, 2, 2)


def hq(folder: Path) -> Path:
    return grow(
        folder,
        *("vox1/masked_faces/A.J._Buckley/0.jpg", "vox1/origin_faces/A.J._Buckley/0.jpg"),
        *(
            "vox1/masked_faces/Ade\u0300le/0.jpg",
            "vox2/masked_faces/Beyoncé/1.jpg",
            "vox2/masked_faces/Nobody/1.jpg",
        ),
        *("raw/vox1/dev/wav/id10001/v/1.wav", "raw/vox1/dev/wav/id10005/v/1.wav"),
        *(
            "raw/vox2/dev/aac/id00012/v/1.m4a",
            "raw/vox2/dev/aac/id00017/v/1.m4a",
            "raw/vox2/dev/aac/id09999/v/1.m4a",
        ),
        tables={"vox1_meta.csv": VOX1_META, "vox2/full_vox2_meta.csv": "", "vox2/vox2_meta.csv": HQ_META},
    )


def test_hq_voxceleb_joins_faces_by_name_with_voices_by_id(tmp_path: Path) -> None:
    plan = plan_folder(hq(tmp_path), BOTH)
    assert plan.layout == "hq_voxceleb"
    assert keys_of(plan, "A.J._Buckley") == [
        "raw/vox1/dev/wav/id10001/v/1.wav",
        "vox1/masked_faces/A.J._Buckley/0.jpg",
    ]
    # The folder has its accent apart, the table has it composed.
    assert keys_of(plan, "Ade\u0300le")[0] == "raw/vox1/dev/wav/id10005/v/1.wav"
    assert keys_of(plan, "Beyoncé") == ["raw/vox2/dev/aac/id00012/v/1.m4a", "vox2/masked_faces/Beyoncé/1.jpg"]
    assert plan.people[0].attributes["voxceleb_id"] == "id10001"
    assert left_out(plan) == {
        "raw/vox2/dev/aac/id00017/v/1.m4a": "no_pair",
        "raw/vox2/dev/aac/id09999/v/1.m4a": "no_person",
        "vox1/origin_faces/A.J._Buckley/0.jpg": "not_wanted",
        "vox2/masked_faces/Nobody/1.jpg": "no_pair",
        "vox2/full_vox2_meta.csv": "not_media",
    }


def test_hq_voxceleb_takes_the_other_faces_on_request(tmp_path: Path) -> None:
    plan = plan_folder(hq(tmp_path), FACES, options=LayoutOptions(faces="origin"))
    assert [entry.key for entry in plan.entries] == ["vox1/origin_faces/A.J._Buckley/0.jpg"]


def test_faces_and_voices_without_a_table_cannot_be_joined(tmp_path: Path) -> None:
    grow(tmp_path, "vox1/masked_faces/Ann/0.jpg", VOX1[0])
    with pytest.raises(InvalidRequest, match=r"add vox1_meta\.csv"):
        plan_folder(tmp_path, BOTH)
    assert names_of(plan_folder(tmp_path, FACES, "folders")) == ["vox1"]


def test_two_speakers_of_one_name_are_not_merged(tmp_path: Path) -> None:
    grow(
        tmp_path,
        *("vox1/masked_faces/Sam/0.jpg", "wav/id10001/v/1.wav", "wav/id10002/v/1.wav"),
        *("vox1/masked_faces/Tim/0.jpg", "wav/id10003/v/1.wav"),
        tables={
            "vox1_meta.csv": "VoxCeleb1 ID\tVGGFace1 ID\nid10001\tSam\nid10002\tSam\nid10003\tTim\n",
        },
    )
    plan = plan_folder(tmp_path, BOTH)
    assert names_of(plan) == ["Tim"]
    assert left_out(plan)["wav/id10001/v/1.wav"] == "bad_metadata"


def test_audios_and_images_of_people_are_recognised_as_media_and_as_arrays(tmp_path: Path) -> None:
    grow(
        tmp_path,
        *("Ann/audios/tape 1/x.WAV", "Ann/images/y.PNG", "Bob/audios/x.npy", "Bob/images/deep/y.npy"),
        *(
            "Ann/images/y_landmarks.npy",
            "Bob/images/lost_landmarks.npy",
            "Ann/images/song.mp3",
            "Ann/cover.jpg",
        ),
    )
    plan = plan_folder(tmp_path, BOTH)
    assert plan.layout == "original"
    assert [(entry.key, entry.side, entry.form) for entry in plan.entries] == [
        ("Ann/audios/tape 1/x.WAV", "voice", "recording"),
        ("Ann/images/y.PNG", "face", "picture"),
        ("Bob/audios/x.npy", "voice", "array"),
        ("Bob/images/deep/y.npy", "face", "array"),
    ]
    assert plan.entries[1].companions == {"landmarks": ("Ann/images/y_landmarks.npy", None)}
    assert left_out(plan) == {
        "Bob/images/lost_landmarks.npy": "missing_companion",
        "Ann/images/song.mp3": "not_media",
        "Ann/cover.jpg": "no_person",
    }


def test_parts_above_people_are_kept_and_equal_names_in_other_folders_are_not_merged(tmp_path: Path) -> None:
    grow(
        tmp_path,
        "train/Ann/audios/x.wav",
        "validation/Bob/audios/x.wav",
        "a/Cy/audios/x.wav",
        "b/Cy/audios/x.wav",
    )
    plan = plan_folder(tmp_path, VOICES)
    assert sorted(names_of(plan)) == ["Ann", "Bob", "a/Cy", "b/Cy"]
    assert {p.name: p.split for p in plan.people if p.name in ("Ann", "Bob")} == {
        "Ann": "train",
        "Bob": "validation",
    }
    assert {person.id for person in plan.people} == {"Ann", "Bob", "a_Cy", "b_Cy"}


def test_pictures_with_their_arrays_are_recognised_and_incomplete_ones_told(tmp_path: Path) -> None:
    grow(
        tmp_path,
        *("Ann/1.jpg", "Ann/1_embedding.npy", "Ann/1_landmarks.npy", "Ann/2.jpg", "Ann/2_embedding.npy"),
        *("Bob/in/3.JPG", "Bob/in/3_embedding.npy", "Bob/in/3_landmarks.npy", "Bob/4_landmarks.npy", "5.jpg"),
    )
    plan = plan_folder(tmp_path, FACES)
    assert plan.layout == "decoder_triples"
    assert [entry.key for entry in plan.entries] == ["Ann/1.jpg", "Bob/in/3.JPG"]
    assert plan.entries[0].companions == {
        "embedding": ("Ann/1_embedding.npy", None),
        "landmarks": ("Ann/1_landmarks.npy", None),
    }
    assert left_out(plan) == {
        "Ann/2.jpg": "missing_companion",
        "Ann/2_embedding.npy": "missing_companion",
        "Bob/4_landmarks.npy": "missing_companion",
        "5.jpg": "no_person",
    }


def test_pairs_of_clips_and_faces_are_planned_as_they_lie(shared_data: Path) -> None:
    options = LayoutOptions(columns={"face": "face_f2f"})
    kept = plan_folder(shared_data / "paired_clips", BOTH, options=options)
    assert (kept.layout, len(kept.people), len(kept.entries)) == ("manifest", 996, 2296)
    split = SplitRecipe(by=("gender", "age_est_on_f2f"), keep=False)
    anew = plan_folder(shared_data / "paired_clips", Recipe(split=split), options=options)
    parts = [person.split for person in anew.people]
    assert [parts.count(part) for part in ("train", "validation", "test")] == [797, 100, 99]
    voices = plan_folder(shared_data / "ravdess_mini", VOICES)
    assert (voices.layout, len(voices.people), len(voices.entries), voices.left_out) == (
        "manifest",
        24,
        144,
        (),
    )
