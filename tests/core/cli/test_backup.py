"""`voicesketch backup` and `restore` on data folders: one command each, with and without a stack that runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from core.bootstrap import migrate
from core.cli import backup, restore
from core.incoming.recordings import take_in
from core.ledger.database import Database
from core.ledger.tables import Recording
from core.people.accounts import ensure_admin
from core.stack.folder import DataFolder
from core.stack.keeping import settings_of_place
from core.store import Store
from tests.core.cli.command_tree import json_table


def run(application: object, *words: str) -> Result:
    return CliRunner().invoke(application, list(words))  # type: ignore[arg-type]


def told_fields(command: str) -> set[str]:
    return set(json_table()[command].replace("`", "").split(", "))


def test_a_data_folder_is_saved_into_one_file_and_brought_back_into_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICESKETCH_DATABASE_URL", raising=False)
    first, second, saved = tmp_path / "first", tmp_path / "second", tmp_path / "saved"
    saved.mkdir()
    with settings_of_place(first, {}, new=True) as settings:
        migrate(settings.database_url)
        database, store = Database(settings.database_url), Store(settings)
        store.ensure_bucket()
        with database.write() as session:
            owner = ensure_admin(session).id
        with (Path(__file__).parent / "command_tree.py").open("rb") as file:
            taken = take_in(database, store, file, owner_id=owner, max_bytes=1 << 20)
        database.dispose()
        # The folder is held, as by a stack that runs: nobody waits for it to end.
        result = run(backup.app, "--data", str(first), "--out", str(saved), "--json")
        assert result.exit_code == 0, result.stderr
        refused = run(restore.app, str(tmp_path / "none.tar"), "--data", str(first))
        assert (refused.exit_code, refused.stdout) == (2, ""), "there is no such file"
        (file_of_it,) = saved.iterdir()
        refused = run(restore.app, str(file_of_it), "--data", str(first))
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "A stack runs on" in refused.stderr
    made = json.loads(result.stdout)
    assert set(made) == told_fields("backup")
    assert (made["objects"], made["file"]) == (1, str(file_of_it))

    assert run(restore.app, str(file_of_it), "--check").stdout.startswith("Whole: the backup of ")
    result = run(restore.app, str(file_of_it), "--data", str(second), "--json")
    assert result.exit_code == 0, result.stderr
    assert set(json.loads(result.stdout)) == told_fields("restore")
    again = run(restore.app, str(file_of_it), "--data", str(second))
    assert (again.exit_code, "There is a ledger in" in again.stderr) == (2, True)
    with settings_of_place(second, {}) as settings:
        database = Database(settings.database_url)
        with database.read() as session:
            (recording,) = session.scalars(select(Recording))
        database.dispose()
        content = Store(settings).get(recording.object_key)
    assert hashlib.sha256(content).hexdigest() == recording.sha256 == taken.sha256
    first_secrets, second_secrets = (
        json.loads(DataFolder(folder).credentials.read_text()) for folder in (first, second)
    )
    assert not set(first_secrets.values()) & set(second_secrets.values()), "a new place has its own passwords"


def test_where_there_is_nothing_to_save_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOICESKETCH_DATABASE_URL", raising=False)
    result = run(backup.app, "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "all.tar"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("There is no ledger in ")
    (tmp_path / "text.tar").write_text("no backup")
    result = run(restore.app, str(tmp_path / "text.tar"), "--data", str(tmp_path / "new"))
    assert (result.exit_code, "no backup of voicesketch" in result.stderr) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.tar"], "nothing was made for it"
