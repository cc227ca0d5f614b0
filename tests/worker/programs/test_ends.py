"""How trainings, evaluations and analyses end, carried out by real workers with made-up programs."""

from __future__ import annotations

import hashlib
import json

import pytest

from core.config import BUNDLED_WEIGHTS
from core.states import ItemState, JobState
from core.training.jobs import run_again
from core.training.specs import AnalyseSpec, GanTask, TrainSpec
from tests.worker.program_place import ProgramPlace
from tests.worker.programs.running import (
    a_training,
    an_evaluation,
    counts,
)

pytestmark = pytest.mark.skipif(not BUNDLED_WEIGHTS.is_dir(), reason="the default model is not in weights/")


def test_an_evaluation_leaves_its_numbers_files_log_and_curves(place: ProgramPlace) -> None:
    place.write_program(
        "evaluate",
        """
        assert request["spec"]["model"] == "default@1" and request["spec"]["dataset"] == "people@1"
        assert (pathlib.Path(request["dataset"]) / "shards/00000.tar").read_bytes() == b"a shard"
        assert (pathlib.Path(request["models"]["default@1"]) / "config.json").is_file()
        assert not [name for name in os.environ if name.startswith("VOICESKETCH_")]
        print("no event at all")
        print("a warning", file=sys.stderr)
        tell("progress", step=3, steps=4, doing="measuring")
        tell("metrics", step=1, epoch=0.5, values={"a": 1.5, "b": float("inf")})
        tell("metrics", step=1, epoch=0.5, values={"a": 2.5})
        tell("note", text="few people", level="warning")
        leave("report/report.html", b"<p>good</p>", "report")
        leave("../outside.txt", b"no", "report")
        end(metrics={"ssim": {"value": 0.5, "better": "higher", "low": None, "high": None, "count": 3}})
        """,
    )
    job = an_evaluation(place)
    place.work()
    assert place.job(job).state is JobState.COMPLETED
    assert place.points(job) == {("a", 1): 2.5}
    progress = place.progress(job)
    assert progress is not None
    assert (progress.step, progress.steps, progress.doing) == (3, 4, "measuring")
    assert {"no event at all", "a warning", "few people"} <= set(place.log(job))
    assert place.files(job).keys() == {"report/report.html", "result.json"}
    assert place.files(job)["report/report.html"].media_type == "text/html"
    assert place.content(job, "report/report.html") == b"<p>good</p>"
    result = json.loads(place.content(job, "result.json"))
    assert result["metrics"]["ssim"]["value"] == 0.5
    assert result["evaluation"].startswith("evaluation_")


def test_an_analysis_runs_its_own_program(place: ProgramPlace) -> None:
    place.write_program(
        "analyse", 'leave("grid.png", b"png", "chart")\nend(asked=request["spec"]["analyses"])'
    )
    job = place.start(AnalyseSpec(model="default", dataset="people@1", analyses=("voice_path",)))
    place.work()
    assert place.job(job).state is JobState.COMPLETED
    assert json.loads(place.content(job, "result.json")) == {"asked": ["voice_path"]}
    assert place.files(job)["grid.png"].media_type == "image/png"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ('tell("failed", code="not_finite", message="A loss is NaN.")\nsys.exit(1)', "not_finite", "NaN"),
        ("sys.stdout.write('x' * 3_000_000)", "program_killed", "without saying how it went"),
    ],
)  # fmt: skip
def test_a_program_that_ends_badly_fails_its_job_with_a_sentence(
    place: ProgramPlace, body: str, code: str, words: str
) -> None:
    place.write_program("train", body)
    job = a_training(place)
    place.work()
    found = place.job(job)
    assert found.state is JobState.FAILED
    assert found.error_code == code
    assert words in (found.error_message or "")
    training, model = place.steps(job)
    assert (training.error_code, model.error_code) == (code, "step_before_failed")
    assert training.attempts == (1 if code == "not_finite" else 3)


def test_a_program_that_once_dies_goes_on_from_its_checkpoint_and_says_so(place: ProgramPlace) -> None:
    counts(place, "step == 6 and not begun and os.kill(os.getpid(), signal.SIGKILL)")
    job = a_training(place)
    place.work()
    training = place.steps(job)[0]
    assert training.state is ItemState.DONE
    assert training.attempts == 2
    progress = place.progress(job)
    assert progress is not None and progress.resumed_at_step == 6
    assert any("memory ran out" in line for line in place.log(job))


def test_limits_of_a_spec_end_its_job_with_their_names(place: ProgramPlace) -> None:
    place.write_program("train", "block = bytearray(400_000_000)\ntime.sleep(60)")
    job = a_training(place, memory_gib=0.2)
    place.work()
    assert place.job(job).error_code == "memory_limit"
    assert "0.2 GiB" in (place.job(job).error_message or "")


def test_only_the_last_checkpoints_stay_in_the_store_and_points_are_there_once(place: ProgramPlace) -> None:
    counts(place)
    job = a_training(place)
    place.work()
    kept = {name for name in place.files(job) if name.startswith("checkpoints/")}
    assert kept == {"checkpoints/00000009.safetensors", "checkpoints/00000010.safetensors"}
    stored = set(place.store.keys(f"jobs/{job}/"))
    assert stored == {file.object_key for file in place.files(job).values()}
    assert place.points(job) == {("train/total", step): 1 / step for step in range(1, 11)}


def test_a_dataset_that_is_gone_from_the_store_is_said_before_anything_runs(place: ProgramPlace) -> None:
    gone = place.add_dataset({"dataset.json": b'{"gone": 1}', "shards/00000.tar": b"soon gone"})
    place.store.delete(f"test/{hashlib.sha256(b'soon gone').hexdigest()}")
    counts(place)
    job = a_training(place, dataset=gone)
    place.work()
    assert place.job(job).error_code == "dataset_not_found"
    assert gone in (place.job(job).error_message or "")


def test_run_again_begins_from_scratch_with_the_same_versions(place: ProgramPlace) -> None:
    counts(place)
    place.add_dataset({"dataset.json": b'{"newest": 1}'})
    first = a_training(place, dataset="people")
    place.work()
    place.add_dataset({"dataset.json": b'{"newer": 1}'})
    with place.database.write() as session:
        again = run_again(session, first, owner_id=place.owner).id
    assert again != first
    assert place.job(again).spec == place.job(first).spec
    place.work()
    progress = place.progress(again)
    assert progress is not None and progress.resumed_at_step is None


def test_a_trained_network_is_registered_paired_measured_and_promoted(place: ProgramPlace) -> None:
    networks = place.add_networks("matching_speech_encoder")
    place.write_program(
        "train",
        f"""
        import shutil
        shutil.copytree({str(networks["conditional_generator"])!r}, run / "model/generator")
        for path in sorted((run / "model/generator").iterdir()):
            tell("file", kind="model", name=f"model/generator/{{path.name}}")
        end(model={{"generator": "generator"}}, steps=5)
        """,
    )
    place.write_program(
        "evaluate",
        """
        better = request["spec"]["model"].startswith("faces@")
        leave("report/report.json", json.dumps({"model": request["spec"]["model"]}).encode(), "report")
        end(metrics={"ssim": {"value": 0.7 if better else 0.6, "better": "higher"}})
        """,
    )
    spec = TrainSpec.model_validate(
        {
            "model": "faces",
            "dataset": "people@1",
            "recipe": GanTask(voice_encoder="matching_speech_encoder"),
            "after": {"split": "validation", "gate": {"metric": "ssim"}, "promote": True},
        }
    )
    job = place.start(spec)
    place.work()
    assert place.job(job).state is JobState.COMPLETED, place.job(job).error_message
    result = json.loads(place.content(job, "result.json"))
    assert result["versions"] == {"generator": "faces-generator@1", "pair": "faces@1"}
    assert result["version"] == "faces@1"
    assert result["promoted"] is True
    assert result["gate"]["passed"] is True
    assert (result["gate"]["candidate"], result["gate"]["production"]) == (0.7, 0.6)
    assert json.loads(place.content(job, "report/report.json")) == {"model": "faces@1"}
    assert json.loads(place.content(job, "production/report/report.json")) == {"model": "default@1"}
    from core.models.registry import resolve_model

    with place.database.read() as session:
        production = resolve_model(session, "production")
    assert production.label == "faces@1"
    assert production.job_id == job
    assert place.job(job).model_version_id == production.id
