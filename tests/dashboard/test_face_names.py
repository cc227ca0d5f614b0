"""File names of faces: the same ones, from wherever a page begins."""

from __future__ import annotations

from core.queries import items_page
from dashboard.api.face_names import FaceNames
from tests.dashboard.conftest import SOUND, Place


def test_any_page_has_the_names_of_the_whole_list(sqlite_place: Place) -> None:
    ada = sqlite_place.script()
    recording = ada.send(SOUND)
    jobs = []
    for job in range(2):
        names = ["talk.flac", "b/talk.wav", "TALK.flac", "talk-2.flac", "müller.flac", "talk.flac"]
        items = [{"key": f"{job} {n}", "name": name, "recording": recording} for n, name in enumerate(names)]
        jobs.append(ada.submit(items).json["id"])
    sqlite_place.worker().run()
    expected = ["talk.png", "talk-2.png", "TALK-3.png", "talk-2-2.png", "müller.png", "talk-4.png"]
    names = FaceNames(most_names=6)  # room for one of the two jobs
    with sqlite_place.database.read() as session:
        for job_id in (jobs[0], jobs[1], jobs[0]):
            rows = items_page(session, job_id)
            # The end first, then one in the middle, then all, as people jump about and scripts read on.
            for some in (rows[5:], rows[2:3], rows, rows[:1]):
                named = names.of(session, job_id, some)
                assert [named[row.id] for row in some] == [expected[row.position] for row in some]
        assert names.of(session, jobs[0], []) == {}
