"""HQ-VoxCeleb: `vox1|vox2/{masked_faces,origin_faces}/<name>/<n>.jpg`, joined with VoxCeleb's recordings by its tables.

Faces are filed by name and voices by id, and only the tables `vox1_meta` and `vox2_meta` know which belong together.
A name that occurs in both halves is taken for one person, as the names of VGGFace are meant: somebody who is in both
must not be learned from in one part and tested in another.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

from core.datasets.layouts.reading import Reading, Request
from core.datasets.layouts.source import Files, SourceFile
from core.datasets.layouts.voxceleb import Release, Speaker, read_speakers, recordings, release_of
from core.errors import InvalidRequest

_HALVES: dict[str, Release] = {"vox1": 1, "vox2": 2}
_KINDS = {"masked_faces": "masked", "origin_faces": "origin"}
_RELEASES: tuple[Release, ...] = (1, 2)


def recognise(request: Request) -> str | None:
    """Pictures in the two folders of faces that only this dataset has."""
    people = {name for _, _, _, name in _faces(request.files)}
    return f"faces of {len(people):,} people in masked_faces or origin_faces" if people else None


def read(request: Request) -> Reading:
    """Raises:
    InvalidRequest: there are voices and faces, and no table to join them by.
    InvalidManifest: a table with bad lines.
    """
    wanted = request.options.faces
    reading = Reading(beside=("no_person", "It is neither in a folder of faces nor in one of a speaker."))
    folders: dict[str, set[str]] = defaultdict(
        set
    )  # names of people as folders have them, by their plain form
    for file, _, kind, name in _faces(request.files):
        folders[_plain(name)].add(name)
        if kind == wanted:
            reading.take(name, file, "face")
        else:
            message = f"The {wanted} faces were asked for, and this is one of the others."
            reading.leave(file.path, "not_wanted", message)

    speakers: dict[Release, dict[str, Speaker]] = {}
    for release in _RELEASES:
        speakers[release], used = read_speakers(request.files, release)
        reading.used |= used
    voices = list(recordings(request.files))
    if voices and folders and not any(speakers.values()):
        raise InvalidRequest(
            "Faces are filed by name and voices by id: add vox1_meta.csv or vox2_meta.csv, which joins them."
        )
    ids = _ids_of_names(speakers)
    for file, speaker_id in voices:
        speaker = speakers[release_of(file)].get(speaker_id)
        if speaker is None:
            reading.leave(file.path, "no_person", f"No table of speakers knows {speaker_id}.")
        elif len(same := ids[release_of(file), _plain(speaker.name)]) > 1:
            message = f"{speaker.name!r} is the name of several speakers: {', '.join(sorted(same))}."
            reading.leave(file.path, "bad_metadata", message)
        else:
            person = _folder(speaker.name, folders[_plain(speaker.name)])
            reading.take(person, file, "voice")
    for some in speakers.values():
        for speaker in some.values():
            person = _folder(speaker.name, folders[_plain(speaker.name)])
            reading.attributes.setdefault(person, {**speaker.attributes, "voxceleb_id": speaker.id})
    return reading


def _faces(files: Files) -> Iterator[tuple[SourceFile, Release, str, str]]:
    """Each picture in its place, with its half, its kind and the name of the person."""
    for file in files.media:
        if file.kind != "picture" or len(file.parts) < 4:
            continue
        half, kind, name = (part for part in file.parts[-4:-1])
        if half.lower() in _HALVES and kind.lower() in _KINDS:
            yield file, _HALVES[half.lower()], _KINDS[kind.lower()], name


def _ids_of_names(speakers: dict[Release, dict[str, Speaker]]) -> dict[tuple[Release, str], set[str]]:
    ids: dict[tuple[Release, str], set[str]] = defaultdict(set)
    for release, some in speakers.items():
        for speaker in some.values():
            ids[release, _plain(speaker.name)].add(speaker.id)
    return ids


def _folder(name: str, folders: set[str]) -> str:
    """The folder that a name of a table means: the very one, or the only one that is spelled nearly so."""
    return next(iter(folders)) if name not in folders and len(folders) == 1 else name


def _plain(name: str) -> str:
    """A name without what differs between archives: composed accents, case, spaces for underscores."""
    return unicodedata.normalize("NFC", name).casefold().replace(" ", "_")
