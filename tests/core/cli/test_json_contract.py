"""`--json` and exit codes are a contract: docs/command_line.md says what each command prints, and is held to it."""

from __future__ import annotations

import importlib
import io
import json
import re
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.cli.main import COMMANDS
from core.client import Client
from core.config import to_environment
from tests.conftest import settings_for
from tests.core.cli.command_tree import json_table, options_by_command
from tests.core.client.small_service import Answer, Asked, in_json, problem, small_service
from tests.dashboard.answer_types import read_description
from tests.dashboard.sampled_service import CONTENT, SampledService
from tests.ledgers import make_ledger

# What each command is given; `{dir}` is a folder with a recording `a.wav` in it and a model in `model`.
GIVEN: dict[str, str] = {
    "submit": "{dir}/a.wav",
    "jobs list": "--sort oldest --label for=fun",
    "jobs show": "job_1",
    "jobs watch": "job_1",
    "jobs cancel": "job_1",
    "jobs pause": "job_1",
    "jobs resume": "last",
    "jobs priority": "job_1 -5",
    "jobs retry": "job_1 --code no_speech --item 3",
    "jobs again": "job_1",
    "jobs rerun": "job_1 --which all --dry-run",
    "jobs download": "job_1 --out {dir}/faces",
    "jobs items": "job_1 --state failed --favourites",
    "jobs results": "job_1",
    "jobs files": "job_1 --kind model",
    "jobs timeline": "job_1",
    "jobs log": "job_1",
    "jobs events": "job_1",
    "jobs webhook": "job_1",
    "prepare": "{dir}/people --face none --one-sided --dry-run",
    "datasets list": "",
    "datasets show": "people@1",
    "datasets download": "people@1 --out {dir}/dataset",
    "train": "--list",
    "evaluate": "voices@1 --dataset people@1",
    "analyse": "voices@1 --dataset people@1",
    "models list": "",
    "models show": "voices@1",
    "models compare": "voices@1 voices@2",
    "models aliases": "",
    "models promote": "voices@1",
    "models rollback": "",
    "models history": "",
    "models delete": "voices@1 --dry-run",
    "models export": "voices@1 --out {dir}/exported",
    "models import-folder": "{dir}/model --name voices",
    "models import": "{dir}/model --name voices",
    "models pair": "--name both --encoder a --decoder b",
    "collections list": "",
    "collections show": "people",
    "collections add": "people {dir}/people",
    "schedules list": "",
    "schedules show": "nightly",
    "schedules add": "nightly --collection people --preset {preset} --model voices --cron @daily",
    "schedules edit": "nightly --new-pairs 5",
    "schedules pause": "nightly",
    "schedules resume": "nightly",
    "schedules run": "nightly",
    "schedules cancel": "nightly run_1",
    "schedules remove": "nightly",
    "tokens list": "",
    "tokens new": "laptop",
    "tokens revoke": "tok_1",
    "audit": "",
    "workers list": "",
    "workers drain": "wrk_1",
    "workers undrain": "wrk_1",
    "queues": "",
    "storage": "",
    "retention list": "",
    "retention set": "faces --days 30 --of for=fun",
    "retention remove": "faces --of for=fun",
    "purge": "",
    "erase": "ada",
}
# They need no service, or run until they are stopped; what they print is held elsewhere.
BENCHMARKS = {"bench infer", "bench queue"}  # programs of their own
WITHOUT_A_SERVICE = {"draw", "up", "demo", "doctor", "convert vggface", "backup", "restore"} | BENCHMARKS
ASKING = [
    command for command in GIVEN if command not in ("train", "prepare")
]  # those ask nobody, as given here
WITHOUT_JSON = {"up"} | BENCHMARKS  # it runs until it is stopped
_MORE = {"webhook_secret", "training"}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return read_description()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sound = _sound()
    (tmp_path / "a.wav").write_bytes(sound)
    (tmp_path / "people" / "Ann").mkdir(parents=True)
    (tmp_path / "people" / "Ann" / "1.wav").write_bytes(sound)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def _sound() -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(3200))
    return made.getvalue()


def run(command: str, url: str, folder: Path, *more: str) -> Result:
    first, *second = command.split()
    application = importlib.import_module(COMMANDS[first].module).app
    given = [word.format(dir=folder, preset=_preset()) for word in GIVEN[command].split()]
    return CliRunner().invoke(application, [*second, *given, *more, "--url", url, "--token", "t"])


def _preset() -> str:
    from core.training.presets import PRESETS

    return next(iter(PRESETS))


def test_every_command_is_in_the_table_and_in_this_test() -> None:
    commands = {name for name in options_by_command() if not name.startswith("users ")}
    assert commands == set(GIVEN) | WITHOUT_A_SERVICE
    assert {name for name, options in options_by_command().items() if "--json" in options} | {"draw"} == set(
        json_table()
    )
    assert commands - set(json_table()) == WITHOUT_JSON


@pytest.mark.parametrize("command", GIVEN)
def test_what_json_prints_is_what_the_page_says(
    command: str, folder: Path, description: dict[str, Any]
) -> None:
    with small_service(_Sampled(description)) as service:
        result = run(command, service.url, folder, "--json")
    assert result.exit_code in (0, 1), result.stderr
    assert result.stdout.isascii()
    _check(result.stdout, _form(command), description)


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize(
    ("trouble", "ending"),
    [(problem(404, "not_found", "There is none."), 2), (problem(500, "error", "It broke."), 3)],
    ids=["refused", "broken"],
)
def test_a_refusal_is_one_sentence_and_an_exit_code(
    command: str, trouble: Answer, ending: int, folder: Path
) -> None:
    with small_service(lambda asked: trouble) as service:
        result = run(command, service.url, folder, "--json")
    assert result.exit_code == ending, result.stderr
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last in ("There is none.", "It broke.") or last.startswith("The service at http"), last
    assert "Traceback" not in result.stderr


def test_commands_on_the_ledger_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, description: dict[str, Any]
) -> None:
    url = f"sqlite+pysqlite:///{tmp_path / 'ledger.sqlite3'}"
    make_ledger(url)
    # Nothing but the ledger is asked.
    store: Any = SimpleNamespace(
        endpoint_url="http://127.0.0.1:1", bucket="none", access_key="none", secret_key="none"
    )
    settings = settings_for(url, "redis://127.0.0.1:1", store)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    application = importlib.import_module(COMMANDS["users"].module).app
    given = {
        "users add": ["ada", "--role", "admin"],
        "users list": [],
        "users link": ["ada"],
        "users token": ["ada", "--called", "laptop"],
        "users password": ["ada", "--stdin"],
        "users quota": ["ada", "--items-a-day", "500", "--stored-bytes", "50GB", "--jobs-at-once", "none"],
    }
    assert set(given) == {name for name in options_by_command() if name.startswith("users ")}
    for command, words in given.items():
        typed = "a long and good enough one\n"
        result = CliRunner().invoke(application, [command.split()[1], *words, "--json"], input=typed)
        assert result.exit_code == 0, result.stderr
        _check(result.stdout, _form(command), description)


def test_ctrl_c_is_told_as_shells_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "job", interrupted)
    result = run("jobs show", "http://127.0.0.1:1", folder)
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "")


class _Sampled(SampledService):
    """Files of models and datasets have the content that is told of them, `last` is a job, and no job is refused."""

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/word":
            return Answer(200, CONTENT)
        answer = super().__call__(asked)
        if asked.path.startswith("/api/v1/estimate?"):
            return in_json({**json.loads(answer.body), "refused": None})
        return answer


def _form(command: str) -> str:
    """What the page says for the command as it is given here."""
    form = json_table()[command]
    if command == "train":
        return form.rpartition("`train --list` ")[2]
    if command == "prepare":
        return form.rpartition("`--dry-run` ")[2]
    return form.partition(";")[0]


def _check(printed: str, form: str, description: dict[str, Any]) -> None:
    words = re.findall(r"`([^`]+)`", form)
    if form.startswith("what"):
        assert printed == CONTENT.decode()
        return
    expected: set[str] = set()
    for word in words:
        expected |= (
            set(description["components"]["schemas"][word]["properties"]) if word[0].isupper() else {word}
        )
    if form.startswith("lines"):
        documents = [json.loads(line) for line in printed.splitlines()]
    else:
        document = json.loads(printed)
        assert isinstance(document, list) == form.startswith("array")
        documents = document if isinstance(document, list) else [document]
    assert documents
    for one in documents:
        # A job that was just made also tells its secret, and one of a program where it stands.
        assert set(one) - _MORE == expected - _MORE
