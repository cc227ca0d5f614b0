"""Models over the API, and the command line on top of it."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from werkzeug.serving import WSGIRequestHandler, make_server

from core.cli.model_folders import largest_file, send_folder
from core.cli.models import app as models_command
from core.client import Client
from core.errors import TooLarge
from core.models.registry import export_model
from core.people.accounts import Role
from dashboard.app import create_app
from tests.dashboard.conftest import Place, Script
from tests.worker.hugging_face import write_ast
from worker.ml.networks.catalogue import load_network


def network_files(part: str, weights: bytes = b"weights", **config: Any) -> dict[str, bytes]:
    """Files of a network, as `save_pretrained` writes them; what the weights are does not matter here."""
    values = {
        "kind": f"{part}_of_tests",
        "name": "test",
        "revision": 1,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "part": part,
        "config": {"embedding_length": 4, "embedding_space": "tests", **config},
    }
    if part == "encoder":
        values["input"] = "voice"
    return {"config.json": json.dumps(values).encode(), "model.safetensors": weights}


def send(script: Script, files: dict[str, bytes]) -> list[dict[str, str]]:
    sent = []
    for name, content in files.items():
        answer = script.ask("PUT", "/api/v1/models/files", data=content)
        assert answer.status_code == 201, answer.text
        assert answer.json == {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        sent.append({"name": name, "sha256": answer.json["sha256"]})
    return sent


def register(script: Script, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    answer = script.post("/api/v1/models", json={"name": name, "files": send(script, files)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_a_model_is_made_of_files_and_given_back_byte_for_byte(place: Place, tmp_path: Path) -> None:
    operator = place.script("olga", Role.OPERATOR)
    files = network_files("encoder", b"some weights")
    made = register(operator, "listener", files)
    assert (made["label"], made["kind"], made["aliases"]) == ("listener@1", "encoder_of_tests", [])
    assert made["size_bytes"] == sum(map(len, files.values()))
    assert made["config"] == json.loads(files["config.json"])

    viewer = place.script("vera", Role.VIEWER)
    assert viewer.get("/api/v1/models/listener").json == made
    listed = viewer.get("/api/v1/models").json["data"]
    assert [(model["label"], model["aliases"]) for model in listed] == [
        ("listener@1", []),
        ("default@1", ["production"]),
    ]
    for file in made["files"]:
        answer = viewer.get(file["url"])
        assert answer.data == files[file["name"]]
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["ETag"] == f'"{file["sha256"]}"'
    part = viewer.get(made["files"][1]["url"], headers={"Range": "bytes=5-"})
    assert (part.status_code, part.data) == (206, b"weights")

    export_model(place.database, place.store, "listener@1", tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == files


def test_the_same_files_make_one_version_and_others_the_next(sqlite_place: Place) -> None:
    operator = sqlite_place.script("olga", Role.OPERATOR)
    assert register(operator, "listener", network_files("encoder"))["label"] == "listener@1"
    assert register(operator, "listener", network_files("encoder"))["label"] == "listener@1"
    assert register(operator, "listener", network_files("encoder", b"others"))["label"] == "listener@2"
    assert operator.get("/api/v1/models/listener").json["label"] == "listener@2"


def test_two_networks_become_a_pair_that_shares_their_files(sqlite_place: Place) -> None:
    operator = sqlite_place.script("olga", Role.OPERATOR)
    register(operator, "ear", network_files("encoder", b"ear"))
    register(operator, "pen", network_files("decoder", b"pen"))
    before = set(sqlite_place.store.keys("models/"))
    answer = operator.post(
        "/api/v1/models/pairs", json={"name": "talker", "encoder": "ear", "decoder": "pen@1"}
    )
    assert answer.status_code == 201
    assert (answer.json["label"], answer.json["kind"]) == ("talker@1", "pair")
    assert len(set(sqlite_place.store.keys("models/")) - before) == 1, "its config.json, and no weights"
    weights = next(file for file in answer.json["files"] if file["name"] == "decoder/model.safetensors")
    assert operator.get(weights["url"]).data == b"pen"


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ({"encoder": "ear", "decoder": "ear"}, "no decoder"),
        ({"encoder": "ear", "decoder": "short"}, "do not fit"),
        ({"encoder": "ear", "decoder": "nowhere"}, "There is no model 'nowhere'"),
        ({"encoder": "default", "decoder": "short"}, "no encoder"),
    ],
)
def test_what_does_not_fit_is_no_pair(sqlite_place: Place, pair: dict[str, str], words: str) -> None:
    operator = sqlite_place.script("olga", Role.OPERATOR)
    register(operator, "ear", network_files("encoder"))
    register(operator, "short", network_files("decoder", embedding_length=3))
    answer = operator.post("/api/v1/models/pairs", json={"name": "talker", **pair})
    assert answer.status_code == 400
    assert words in answer.json["detail"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER])
def test_only_operators_change_which_models_there_are(sqlite_place: Place, role: Role) -> None:
    script = sqlite_place.script("sam", role)
    answers = [
        script.ask("PUT", "/api/v1/models/files", data=b"weights"),
        script.post("/api/v1/models", json={"name": "m", "files": [{"name": "x", "sha256": "0" * 64}]}),
        script.post("/api/v1/models/pairs", json={"name": "m", "encoder": "a", "decoder": "b"}),
    ]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(403, "not_allowed")] * 3
    assert not list(sqlite_place.store.keys("models/"))
    assert sqlite_place.app.test_client().get("/api/v1/models").status_code == 401


def test_a_browser_must_show_the_token_of_its_page(sqlite_place: Place) -> None:
    browser = sqlite_place.browser("olga", Role.OPERATOR)
    path = "/api/v1/models/files"
    assert browser.client.put(path, data=b"weights").status_code == 400
    assert not list(sqlite_place.store.keys("models/"))
    assert (
        browser.client.put(path, data=b"weights", headers={"X-CSRF-Token": browser.csrf}).status_code == 201
    )


@pytest.mark.parametrize("length_is_told", [True, False])
def test_a_file_that_is_too_large_is_refused_and_not_kept(sqlite_place: Place, length_is_told: bool) -> None:
    # Far above the limit of every other body: what is read here is counted, and nothing else.
    limit = 3 * 2**20
    app = create_app(sqlite_place.settings.model_copy(update={"max_model_bytes": limit}))
    operator = Script(app, sqlite_place.script("olga", Role.OPERATOR).token)
    extra: dict[str, Any] = {"content_length": limit + 1}
    if not length_is_told:
        extra = {"content_length": None, "environ_base": {"wsgi.input_terminated": True}}
    answer = operator.ask("PUT", "/api/v1/models/files", input_stream=io.BytesIO(bytes(limit + 1)), **extra)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert not list(sqlite_place.store.keys("models/"))
    assert operator.ask("PUT", "/api/v1/models/files", data=bytes(limit)).status_code == 201


def test_files_that_make_no_model_are_refused(sqlite_place: Place) -> None:
    operator = sqlite_place.script("olga", Role.OPERATOR)
    good = network_files("encoder")

    def refusal(files: list[dict[str, str]], name: str = "m") -> str:
        answer = operator.post("/api/v1/models", json={"name": name, "files": files})
        assert answer.status_code == 400, answer.text
        return str(answer.json["detail"])

    sent = send(operator, good)
    assert "model.safetensors is missing" in refusal(sent[:1])
    assert "send its content first" in refusal([sent[0], {**sent[1], "sha256": "0" * 64}])
    assert "other weights" in refusal([sent[0], *send(operator, {"model.safetensors": b"others"})])
    assert "not valid JSON" in refusal([*send(operator, {"config.json": b"{"}), sent[1]])
    assert "names no kind" in refusal([*send(operator, {"config.json": b"{}"}), sent[1]])
    assert "has no file '../evil'" in refusal([*sent, {**sent[0], "name": "../evil"}])
    for name in ("", "a b", "a@1", "../x", "x" * 81):
        assert "name" in refusal(sent, name)
    assert [model["label"] for model in operator.get("/api/v1/models").json["data"]] == ["default@1"]


def test_what_is_not_there_is_404(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    for path in ("nothing", "default@2", "default@x", "default@1/files/config.json", "default/files/a/../b"):
        answer = ada.get(f"/api/v1/models/{path}")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        pass


@pytest.fixture
def service(sqlite_place: Place) -> Iterator[list[str]]:
    """The app on a port of loopback; the options by which the command line finds it."""
    server = make_server("127.0.0.1", 0, sqlite_place.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    token = sqlite_place.script("olga", Role.OPERATOR).token
    yield ["--url", f"http://127.0.0.1:{server.server_port}", "--token", token]
    server.shutdown()
    server.server_close()
    thread.join()


def run(*arguments: object) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(models_command, [str(argument) for argument in arguments])
    return outcome.exit_code, outcome.stdout.strip(), outcome.stderr


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_the_shell_sends_shows_pairs_and_exports_models(service: list[str], tmp_path: Path) -> None:
    weights = bytes(range(256)) * 8192
    ear = write(tmp_path / "ear", network_files("encoder", weights))
    pen = write(tmp_path / "pen", network_files("decoder", b"pen"))
    code, label, told = run("import", ear, *service)
    assert (code, label) == (0, "ear@1")
    assert "sending 3/3" in told, "MiB, begun ones counted"
    assert run("import", pen, "--name", "crayon", *service)[:2] == (0, "crayon@1")
    assert run("pair", "--name", "talker", "--encoder", "ear", "--decoder", "crayon", *service)[:2] == (
        0,
        "talker@1",
    )
    code, out, _ = run("list", *service)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        *("MODEL", "talker@1", "crayon@1", "ear@1", "default@1")
    ]
    listed = json.loads(run("list", "--json", *service)[1])
    assert [model["kind"] for model in listed[:2]] == ["pair", "decoder_of_tests"]
    assert json.loads(run("show", "talker", "--json", *service)[1])["config"]["encoder"] == "ear@1"
    assert "encoder/model.safetensors  2.0 MiB" in run("show", "talker@1", *service)[1]

    code, out, _ = run("export", "talker", "--out", tmp_path / "out" / "pair", *service)
    assert (code, out) == (0, f"talker@1 is in {tmp_path / 'out' / 'pair'}.")
    assert (tmp_path / "out" / "pair" / "encoder" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "out" / "pair" / "decoder" / "model.safetensors").read_bytes() == b"pen"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pair"]
    code, _, told = run("export", "talker", "--out", tmp_path / "out" / "pair", *service)
    assert (code, "is there already" in told) == (2, True)


def test_the_shell_brings_in_somebody_elses_weights(
    service: list[str], sqlite_place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_ast(tmp_path / "ast")
    assert run("import", tmp_path / "ast", "--as", "ast", *service)[:2] == (0, "ast@1")
    assert "writing 7" in capfd.readouterr().err, "the steps of the program that reads"
    export_model(sqlite_place.database, sqlite_place.store, "ast@1", tmp_path / "model")
    assert load_network(tmp_path / "model", "cpu").identity.version == "ast@1"


def test_the_shell_tells_what_cannot_be_in_one_sentence(
    service: list[str], sqlite_place: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights.pt").write_text("These are no weights.")
    for arguments, words in [
        (("import", tmp_path / "weights.pt"), "Say what it is with --as: one of ve_conv, ast"),
        (("import", tmp_path / "weights.pt", "--as", "ve_conv"), "is no checkpoint"),
        (("import", tmp_path / "weights.pt", "--as", "bert"), "Invalid value"),
        (("show", "nothing"), "There is no model 'nothing'"),
        (("export", "nothing", "--out", tmp_path / "out"), "There is no model 'nothing'"),
        (("pair", "--name", "p", "--encoder", "default", "--decoder", "default"), "is no encoder"),
        (("import", write(tmp_path / "m", {"config.json": b"{}"})), "model.safetensors is missing"),
        (("import", tmp_path / "m", "--name", "a@1"), "'a@1' is no name for a model"),
    ]:
        code, out, told = run(*arguments, *service)
        assert (code, out) == (2, "")
        assert words in told + capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    assert [model["label"] for model in sqlite_place.script().get("/api/v1/models").json["data"]] == [
        "default@1"
    ]


def test_who_may_not_or_sends_too_much_hears_so_before_anything_is_sent(
    sqlite_place: Place, service: list[str], tmp_path: Path
) -> None:
    folder = write(tmp_path / "ear", network_files("encoder"))
    url = service[:2]
    code, _, told = run("import", folder, *url, "--token", sqlite_place.script("sam").token)
    assert (code, "sam is submitter" in told) == (2, True)
    client = Client(url[1], service[3])
    with pytest.raises(TooLarge):
        send_folder(client, folder, "ear", len(b"weights") - 1, lambda done, total: None)
    assert largest_file(client) == sqlite_place.settings.max_model_bytes
    assert not list(sqlite_place.store.keys("models/"))


def test_without_a_service_the_shell_says_so_before_it_reads_anything(tmp_path: Path) -> None:
    code, _, told = run("import", tmp_path / "w.pt", "--as", "ast", "--data", tmp_path / "nothing")
    assert code == 3
    assert told.strip().endswith("start one with: voicesketch up")


def test_the_shell_brings_a_folder_back_in_as_the_very_same_model(service: list[str], tmp_path: Path) -> None:
    run("import", write(tmp_path / "ear", network_files("encoder", b"ear")), *service)
    run("import", write(tmp_path / "pen", network_files("decoder", b"pen")), *service)
    run("pair", "--name", "talker", "--encoder", "ear", "--decoder", "pen", *service)
    for name in ("ear", "talker"):
        before = json.loads(run("export", name, "--out", tmp_path / "out" / name, "--json", *service)[1])
        code, made, told = run("import-folder", tmp_path / "out" / name, "--name", "back", "--json", *service)
        assert code == 0, told
        after = json.loads(made)
        assert after["sha256"] == before["sha256"]
        assert after["label"] == ("back@1" if name == "ear" else "back@2")
    (tmp_path / "out" / "talker" / "decoder" / "model.safetensors").write_bytes(b"another pen")
    code, _, told = run("import-folder", tmp_path / "out" / "talker", "--name", "back", *service)
    assert (code, "decoder/config.json belongs to other weights" in told) == (2, True)
    assert run("import-folder", tmp_path, "--name", "back", *service)[0] == 2


def test_the_shell_promotes_rolls_back_and_tells_the_history(service: list[str], tmp_path: Path) -> None:
    run("import", write(tmp_path / "ear", network_files("encoder", b"ear")), *service)
    run("import", write(tmp_path / "pen", network_files("decoder", b"pen")), *service)
    run("pair", "--name", "talker", "--encoder", "ear", "--decoder", "pen", *service)
    code, _, told = run("promote", "ear", *service)
    assert (code, "draws nothing by itself, so it cannot be production" in told) == (2, True)
    assert run("promote", "talker", "--reason", "try it", *service)[:2] == (
        0,
        "production points at talker@1, before that at default@1.",
    )
    moved = json.loads(run("rollback", "--reason", "worse", "--json", *service)[1])
    assert (moved["before"], moved["after"], moved["actor_name"]) == ("talker@1", "default@1", "olga")
    code, _, told = run("rollback", *service)
    assert (code, "nothing left to roll back to" in told) == (2, True)
    assert run("rollback", "nowhere", *service)[0] == 2
    code, out, _ = run("history", *service)
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["rollback", "promote"]
    assert [move["reason"] for move in json.loads(run("history", "--json", *service)[1])] == [
        "worse",
        "try it",
    ]


def test_the_shell_deletes_what_nobody_uses_and_says_why_not(service: list[str], tmp_path: Path) -> None:
    run("import", write(tmp_path / "ear", network_files("encoder", b"ear")), *service)
    run("import", write(tmp_path / "pen", network_files("decoder", b"pen")), *service)
    run("pair", "--name", "talker", "--encoder", "ear", "--decoder", "pen", *service)
    code, _, told = run("delete", "ear@1", *service)
    assert (code, told.strip()) == (2, "ear@1 is in use: it is half of talker@1.")
    code, out, _ = run("delete", "ear@1", "--dry-run", *service)
    assert (code, "it is half of talker@1" in out) == (1, True)
    assert run("delete", "ear", *service)[0] == 2, "a bare name may mean another version tomorrow"
    assert run("delete", "talker@1", "--dry-run", *service)[0] == 0
    assert run("delete", "talker@1", "--reason", "a slip", *service)[0] == 0
    assert run("delete", "talker@1", *service)[0] == 0, "once more changes nothing"
    assert run("delete", "ear@1", "--json", *service)[0] == 0
    listed = json.loads(run("list", "--json", *service)[1])
    assert [model["label"] for model in listed] == ["pen@1", "default@1"]
    code, _, told = run("show", "ear@1", *service)
    assert (code, told.strip()) == (2, "ear@1 was deleted. Choose another version.")
