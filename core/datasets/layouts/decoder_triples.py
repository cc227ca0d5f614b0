"""`<identity>/**/<name>.jpg` with `<name>_embedding.npy` and `<name>_landmarks.npy` beside it: faces alone."""

from __future__ import annotations

from core.datasets.layouts.companions import COMPANIONS, companion_kind, companions_of
from core.datasets.layouts.reading import Reading, Request
from core.datasets.layouts.words import SPLIT_WORDS, Splits


def recognise(request: Request) -> str | None:
    """Pictures with both companions, and no voices: these would belong to another layout."""
    if any(file.kind == "recording" for file in request.files.media):
        return None
    complete = [some for some in companions_of(request.files.media).values() if len(some) == len(COMPANIONS)]
    return f"{len(complete):,} pictures with embedding and landmarks" if complete else None


def read(request: Request) -> Reading:
    reading = Reading(beside=("not_media", "This layout takes pictures with their arrays, and nothing else."))
    companions = companions_of(request.files.media)
    belonging = {file.path for some in companions.values() for file in some.values()}
    splits = Splits()
    for file in request.files.media:
        above = file.parts[:1] if len(file.parts) > 2 and file.parts[0].lower() in SPLIT_WORDS else ()
        if len(file.parts) < 2:
            reading.leave(file.path, "no_person", "It does not lie in the folder of a person.")
        elif file.kind == "picture":
            missing = [what for what in COMPANIONS if what not in companions.get(file.path, {})]
            if missing:
                message = f"Beside it is no {' and no '.join(f'{file.stem}_{what}.npy' for what in missing)}."
                reading.leave(file.path, "missing_companion", message)
            else:
                person = file.parts[len(above)]
                splits.see(person, above)
                reading.take(person, file, "face", companions[file.path])
        elif file.kind == "array" and file.path not in belonging:
            what = companion_kind(file)
            message = (
                f"There is no picture beside this {what}." if what else "Its name says not what it holds."
            )
            reading.leave(file.path, "missing_companion" if what else "not_media", message)
    reading.splits = splits.given()
    # The companion of an incomplete picture is as useless as the picture.
    taken = {one.file.path for one in reading.inputs}
    for path, some in companions.items():
        if path not in taken:
            for file in some.values():
                reading.leave(file.path, "missing_companion", "The picture beside it is not complete.")
    return reading
