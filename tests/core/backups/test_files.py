"""The file of a backup: what is in it, what is not, and what becomes of one that is not whole."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.backups.backup import back_up
from core.backups.contents import Contents
from core.backups.format import BackupWriter, new_file, read_members
from core.backups.restore import differing_settings, verify
from core.errors import InvalidRequest
from core.progress import Silent
from tests.core.backups.saving import save
from tests.dashboard.conftest import Place


def test_a_file_that_is_damaged_or_broke_off_is_refused(sqlite_place: Place, tmp_path: Path) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    place.script("ada").job(2)
    place.worker().run()
    save(place, file)
    whole = file.read_bytes()

    def refused(content: bytes) -> str:
        (tmp_path / "bad.tar").write_bytes(content)
        with Contents() as contents, pytest.raises(InvalidRequest) as told:
            verify(tmp_path / "bad.tar", contents, Silent())
        return told.value.message

    assert "broke off" in refused(whole[: len(whole) // 2])
    # Only the zeros that fill up the archive may be missing.
    for share in range(1, 40):
        refused(whole[: (len(whole) - 2048) * share // 40])
    for word in (b"\x89PNG", b"fLaC"):
        place_of = whole.index(word) + 40
        damaged = whole[:place_of] + bytes([whole[place_of] ^ 1]) + whole[place_of + 1 :]
        assert "is damaged" in refused(damaged), word
    row = whole.rindex(b"\x1f\x8b\x08") + 12
    assert "damaged" in refused(whole[:row] + b"\0\0\0\0" + whole[row + 4 :])
    assert "newer version" in refused(whole.replace(b'"revision":"000', b'"revision":"999', 1))
    assert "no backup" in refused(b"")
    assert "no backup" in refused(b"something else" * 1000)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a", "b")
    assert "no backup" in refused(archive.getvalue())


def test_a_file_of_many_objects_is_written_and_read_in_little_memory(tmp_path: Path) -> None:
    count, content = 2_000, bytes(700)
    tracemalloc.start()
    with new_file(tmp_path / "large.tar") as (path, file):
        writer = BackupWriter(file)
        for number in range(count):
            writer.object(f"jobs/job_1/attempts/1/{number}.face.png", len(content), "image/png", [content])
    with path.open("rb") as file:
        assert sum(len(member.file.read()) for member in read_members(file)) == count * len(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 700_000, peak  # a kilobyte for each would be two million
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidRequest, match="is there already"), new_file(path):
        pass


def test_settings_that_were_otherwise_are_told_and_no_secret_is_written(
    sqlite_place: Place, tmp_path: Path
) -> None:
    place, file = sqlite_place, tmp_path / "all.tar"
    changed = place.settings.model_copy(
        update={"lease_seconds": 17.0, "oidc_client_secret": SecretStr("hush-hush")}
    )
    with file.open("wb") as stream:
        back_up(changed, place.database, place.store, stream, Silent())
    with Contents() as contents:
        backup = verify(file, contents, Silent())
    assert differing_settings(place.settings, backup) == {"VOICESKETCH_LEASE_SECONDS": "17.0"}
    assert differing_settings(changed, backup) == {}
    told = json.dumps([backup.head, backup.end])
    for secret in ("hush-hush", "only-for-tests", place.settings.s3_secret_key):
        word = secret if isinstance(secret, str) else secret.get_secret_value() if secret else "?"
        assert word not in told
