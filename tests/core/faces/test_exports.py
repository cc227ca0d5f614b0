"""The table of results."""

from __future__ import annotations

import csv
import io

from core.faces.exports import COLUMNS, Result, csv_lines, results
from core.jobs import create_job
from core.queries import items_page
from core.specs import InferSpec, NewItem
from tests.factories import Ledger, could_not, drawn


def table(ledger: Ledger, job: str) -> list[dict[str, str]]:
    with ledger.database.read() as session:
        text = "".join(csv_lines(line for _, line in results(items_page(session, job), "default@1")))
    return list(csv.DictReader(io.StringIO(text)))


def test_every_line_comes_back_with_its_key_and_its_fate(ledger: Ledger) -> None:
    job = ledger.job(3)
    chunk = ledger.claim(ledger.worker())
    ledger.publish(chunk, [drawn(chunk, 0), could_not(chunk, 1)])
    rows = table(ledger, job)
    assert tuple(rows[0]) == COLUMNS
    assert [row["state"] for row in rows] == ["done", "failed", "leased"]
    assert [row["key"] for row in rows] == ["item-0", "item-1", "item-2"]
    assert [row["face"] for row in rows] == ["voice 0.png", "", ""]
    assert rows[1]["error_code"] == "no_speech"
    assert rows[0]["model_version"] == "default@1"


def test_a_cell_that_a_spreadsheet_would_run_is_made_inert(ledger: Ledger) -> None:
    ledger.model()
    (sha256,) = ledger.recordings(1)
    with ledger.database.write() as session:
        job = create_job(
            session,
            owner_id=ledger.user().id,
            spec=InferSpec(model="default"),
            items=[NewItem(key="=1+1", name="-cmd.wav", recording=sha256)],
        )
    (row,) = table(ledger, job.id)
    assert (row["key"], row["recording"]) == ("'=1+1", "'-cmd.wav")


def test_no_cell_that_somebody_may_write_begins_a_formula_and_numbers_stay_numbers() -> None:
    formulas = ("=1+1", "+1", "-1+cmd|' /C calc'!A0", "-a", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1")
    for written in formulas:
        line = Result(written, written, "failed", written, written, written, None, written)
        (row,) = csv.DictReader(io.StringIO("".join(csv_lines([line])), newline=""))
        kept = {row[column] for column in COLUMNS if column not in ("state", "seconds")}
        assert kept == {f"'{written}"}, written
    for harmless in ("-12", "-1.5", "a-1", "1", ""):
        line = Result(harmless, "key", "done", "", "", "default@1", 1.0, "a.png")
        (row,) = csv.DictReader(io.StringIO("".join(csv_lines([line]))))
        assert row["recording"] == harmless
