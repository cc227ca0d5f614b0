"""Evaluations from the request to the report: right where the truth is known, whole, and plain on what is missing."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.models.metric_words import metric_group, metric_words
from tests.worker.evaluation.people import PEOPLE, ask, kept_signals, write_dataset
from worker.evaluate import main
from worker.evaluate_default import wilson
from worker.evaluation.evaluation import evaluate
from worker.evaluation.looks import Lookers
from worker.evaluation.measure_weights import bring_in
from worker.evaluation.report import verdict
from worker.evaluation.subject import load_subject
from worker.evaluation.words import format_of, in_reading_order
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.metrics.intervals import wilson as wilson_interval
from worker.ml.metrics.lpips import Lpips
from worker.ml.model_folders import find_model
from worker.ml.training.events import STOPPED, Ended, Failed, File, Progress, read_event

REPOSITORY = Path(__file__).resolve().parents[3]
KEYS = {"value", "low", "high", "count", "better", "chance", "published"}


def run_program(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[Any]]:
    with kept_signals():
        code = main([str(run)])
    lines = capsys.readouterr().out.splitlines()
    events = [read_event(line) for line in lines]
    assert None not in events, "what is printed is events and nothing else"
    return code, events


@pytest.fixture(scope="module")
def lookers() -> Lookers:
    return Lookers()


def measured(
    dataset: Path, lookers: Lookers, *folders: Path, partner: Path | None = None, people: int | None = None
) -> Any:
    with PreparedDataset.open(dataset) as opened:
        return evaluate(
            load_subject(folders, "cpu"),
            opened,
            "test",
            partner=None if partner is None else load_subject((partner,), "cpu"),
            lookers=lookers,
            most_people=people,
        )


@pytest.fixture(scope="module")
def perfect(dataset: Path, lookers: Lookers) -> Any:
    """The default model on faces that it drew itself."""
    return measured(dataset, lookers, find_model("default"))


def test_a_model_that_draws_the_true_faces_is_perfect_and_its_report_is_whole(
    dataset: Path, perfect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ask(tmp_path / "run", dataset, {"default": find_model("default")}, model="default", kind="evaluate")
    code, events = run_program(run, capsys)
    assert code == 0
    ended = events[-1]
    assert isinstance(ended, Ended)
    metrics = ended.result["metrics"]
    for name in (
        "matching.voice_to_face.2",
        "matching.face_to_voice.2",
        "matching.voice_to_face.2.dlib",
        "auc",
    ):
        assert metrics[name]["value"] == 1, name
    assert metrics["matching.voice_to_face.2.same_gender"]["value"] == 1
    assert metrics["retrieval.r1"]["value"] == 1 and metrics["retrieval.r1"]["gallery"] == PEOPLE
    assert metrics["retrieval.r1"]["chance"] == pytest.approx(1 / PEOPLE)
    assert metrics["likeness.cosine"]["value"] > 0.98 and metrics["ssim"]["value"] > 0.98
    assert metrics["landmarks.normalised"]["value"] < 0.02
    assert metrics["attributes.gender.read"]["value"] == 1
    assert 0 < metrics["variation.identity"]["value"] < 1
    for name, metric in metrics.items():
        assert metric.keys() >= KEYS, name
        assert np.isfinite(metric["value"]) and metric["better"] in ("higher", "lower"), name
        if metric["low"] is not None:
            assert metric["low"] <= metric["value"] + 1e-9 and metric["value"] <= metric["high"] + 1e-9, name

    told = json.loads((run / "report" / "report.json").read_text())
    assert told["metrics"] == metrics
    again = {name: measure.as_json() for name, measure in perfect.findings.measures.items()}
    assert metrics == again, "the same request comes to the same numbers"
    assert told["people"] == PEOPLE and told["clips"] == PEOPLE and told["split"] == "test"
    assert told["dataset_sha256"] == PreparedDataset.open(dataset).sha256
    assert not told["left_out"].keys() & metrics.keys()
    assert "weights of AlexNet" in told["left_out"]["lpips"]
    assert "too few people" in told["left_out"]["matching.voice_to_face.10"]
    assert any("AI-generated" in note for note in told["notes"])
    assert any("singular" in note for note in told["notes"])
    files = {event.name for event in events if isinstance(event, File)}
    assert files == {f"report/{path.name}" for path in (run / "report").iterdir()}
    assert {f"report/{chart['name']}" for chart in told["charts"]} < files
    steps = [event.step for event in events if isinstance(event, Progress)]
    assert steps == sorted(steps) and steps[-1] == 1000 and len(steps) > 3
    page = (run / "report" / "report.html").read_text()
    assert "AI-generated" in page and "person 3" in page and "Speech2Face" in page
    assert not re.search(r'(src|srcset|href)="(?!data:|#)', page), "the page needs nothing else"


def test_a_model_that_takes_noise_draws_several_faces_and_may_have_a_partner_judge(
    dataset: Path, networks: dict[str, Path], lookers: Lookers
) -> None:
    pair = networks["matching_speech_encoder"], networks["conditional_generator"]
    found = measured(dataset, lookers, *pair, partner=networks["matching_face_encoder"], people=3)
    measures = found.findings.measures
    assert {"matching.drawn_to_voice.2.partner", "matching.voice_to_face.2.partner"} < measures.keys()
    assert any("3 faces were drawn" in note for note in found.findings.notes)
    # Noise is no face: nothing is found in it, and that is said and not hidden.
    assert measures["face_found"].value < 1
    if measures["face_found"].value == 0:
        assert measures["matching.voice_to_face.2"].value == 0.5, "without a face it is guessed"


def test_a_model_that_draws_from_faces_is_measured_on_faces(
    dataset: Path, networks: dict[str, Path], lookers: Lookers
) -> None:
    found = measured(dataset, lookers, networks["vgg_face"], networks["face_decoder"], people=3)
    names = found.findings.measures.keys()
    assert "matching.face_to_face.2" in names and "ssim" in names and "landmarks.rmse" in names
    assert not any("voice" in name for name in names)
    assert "embedding.*" in found.findings.left_out
    assert len(found.shown) == 3 and found.shown[0].drawn.shape == found.shown[0].true.shape


def test_measures_that_need_weights_are_taken_once_somebody_brought_them(
    dataset: Path, lookers: Lookers, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = Lpips()
    for head in network.heads:
        head.weight.abs_()  # as the published ones are
    bring_in("lpips", network.state_dict(), tmp_path)
    with PreparedDataset.open(dataset) as opened:
        subject = load_subject((find_model("default"),), "cpu")
        found = evaluate(subject, opened, "test", most_people=2, weights=tmp_path, lookers=lookers).findings
    assert 0 <= found.measures["lpips"].value < 0.1 * found.measures["diversity"].value
    assert not {"lpips", "diversity"} & found.left_out.keys()
    assert "vggface_score" in found.left_out, "nobody brought those"


def test_two_encoders_are_measured_alone_and_without_judges(
    dataset: Path, networks: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"v@1": networks["matching_speech_encoder"], "f@1": networks["matching_face_encoder"]}
    run = ask(tmp_path / "run", dataset, models, kind="evaluate", model="v@1", partner="f@1")
    code, events = run_program(run, capsys)
    assert code == 0
    metrics = events[-1].result["metrics"]
    assert {"matching.voice_to_face.2", "auc", "retrieval.map", "embedding.angle"} < metrics.keys()
    assert not any(name.startswith(("likeness", "attributes", "ssim")) for name in metrics)
    told = json.loads((run / "report" / "report.json").read_text())
    assert told["partner"] == "f@1" and any("Nothing was drawn" in note for note in told["notes"])


def test_kept_features_are_used_where_no_waveform_is_kept(networks: dict[str, Path], tmp_path: Path) -> None:
    kept = write_dataset(tmp_path / "kept", features=("ve_conv", "waveform"), people=1, size=64)
    subject = load_subject((networks["ve_conv"],), "cpu")
    with PreparedDataset.open(kept) as opened:
        entries = [entry for entry in opened.entries if entry.side == "voice"]
        by_feature = subject.embed(opened, entries)
        by_waveform = subject._encode([opened.array(entry, "waveform") for entry in entries])
    # The same recipe, from the same recording.
    assert by_feature.numpy() == pytest.approx(by_waveform.numpy(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "partner", "sentence"),
    [
        ("matching_speech_encoder", None, "Name the face encoder"),
        ("matching_speech_encoder", "vgg_face", None),
        ("matching_speech_encoder", "ve_conv", "no encoder of faces"),
        ("matching_face_encoder", None, "name this one as its partner"),
        ("conditional_generator", None, "only half of a model"),
    ],
)
def test_what_cannot_be_measured_fails_with_what_to_do(
    model: str,
    partner: str | None,
    sentence: str | None,
    dataset: Path,
    networks: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ask(tmp_path / "run", dataset, networks, kind="evaluate", model=model, partner=partner)
    code, events = run_program(run, capsys)
    if sentence is None:  # embeddings of one length, whoever made them
        assert code == 0
        return
    assert code == 1
    assert isinstance(events[-1], Failed) and events[-1].code == "invalid_recipe"
    assert sentence in events[-1].message


def test_requests_and_datasets_that_are_wrong_are_told_apart(
    dataset: Path, networks: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def code_of(run: Path, **changes: Any) -> str:
        path = run / "request.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        code, events = run_program(run, capsys)
        assert code == 1
        failed = events[-1]
        assert isinstance(failed, Failed)
        assert failed.message.endswith((".", "?"))
        return failed.code

    models = {"default": find_model("default")}
    asked = {"kind": "evaluate", "model": "default"}
    assert (
        code_of(ask(tmp_path / "a", dataset, models, **asked), dataset_sha256="0" * 64) == "dataset_mismatch"
    )
    assert code_of(ask(tmp_path / "b", tmp_path / "nowhere", models, **asked)) == "dataset_not_found"
    assert (
        code_of(ask(tmp_path / "c", dataset, models, **asked | {"split": "validation"})) == "invalid_recipe"
    )
    assert code_of(ask(tmp_path / "d", dataset, models, **asked | {"most_people": 1})) == "invalid_recipe"
    assert code_of(ask(tmp_path / "e", dataset, {}, **asked | {"model": "nobody"})) == "invalid_recipe"
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "request.json").write_text("{}")
    assert code_of(tmp_path / "f") == "invalid_recipe"


def test_asked_to_stop_it_stops_soon_and_can_be_run_again(dataset: Path, tmp_path: Path) -> None:
    run = ask(tmp_path / "run", dataset, {"default": find_model("default")}, kind="evaluate", model="default")
    program = subprocess.Popen(
        [sys.executable, "-m", "worker.evaluate", str(run)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    first = read_event(program.stdout.readline())
    assert isinstance(first, Progress)
    program.send_signal(signal.SIGTERM)
    assert program.wait(60) == STOPPED
    program.stdout.close()
    assert not (run / "report" / "report.json").exists()


def test_the_old_table_has_the_same_intervals() -> None:
    share = wilson(77, 87)
    assert (share.low, share.high) == wilson_interval(77, 87)


def test_every_measure_is_on_the_page_about_metrics(perfect: Any) -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    for name in [*perfect.findings.measures, *perfect.findings.left_out]:
        family = name.split(".")[0].strip("*")
        assert f"`{family}" in page or f".{family}" in page, name


def test_every_name_has_words_and_a_place_in_the_report() -> None:
    names = [
        "matching.voice_to_face.2",
        "matching.voice_to_face.10.same_gender.dlib",
        "retrieval.of100.r5.dlib",
        "attributes.gender.read",
        "vggface_score.sf2f",
        "craniofacial.nasal_index",
        "matching.voice_to_face.2.dlib",
    ]
    assert [metric_words(name)[0] for name in names[:3]] == [
        "Finds the face of a voice among 2",
        "Finds the face of a voice among 10",
        "Right face among the first 5, of 100",
    ]
    assert metric_words(names[1])[1] == ["within a gender", "by dlib"]
    assert [metric_group(name) for name in names[:6]] == [0, 0, 1, 3, 5, 4]
    assert format_of("embedding.angle") == "degrees" and format_of("auc.dlib") == "share"
    assert in_reading_order(names)[:2] == [names[0], names[6]]


def test_the_verdict_says_no_more_than_the_interval(perfect: Any) -> None:
    measures = perfect.findings.measures
    assert "better than guessing" in verdict(measures)[0]
    unsure = {name: type(one)(0.6, 6, "higher", 0.4, 0.8, 0.5) for name, one in measures.items()}
    assert "no better than guessing" in verdict(unsure)[0]
