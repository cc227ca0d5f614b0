"""Whatever comes in ends with a clip, a picture or a code, soon, and the processes that decode survive it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.bombs import Bomb, bombs, large_pictures
from tests.hostile.corpus import HostileFile, hostile_files
from tests.hostile.seeds import pictures, recordings
from worker.decoding.decoders import Decoders
from worker.ml.errors import MediaError

CODES = {
    "ok",
    "corrupt_audio",
    "corrupt_image",
    "decoding_needs_memory",
    "empty_file",
    "image_too_large",
    "no_speech",
    "not_audio",
    "not_image",
    "too_long",
    "too_many_channels",
    "too_short",
    "truncated_audio",
}  # and neither `decoder_crashed` nor `decoding_took_too_long`: a file that comes to that is to be a test of its own


@dataclass(frozen=True)
class End:
    """What became of a file: `ok`, or its code."""

    name: str
    code: str
    seconds: float


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(2)
    yield decoders
    decoders.close()


def decode_all(decoders: Decoders, files: Iterable[HostileFile | Bomb]) -> list[End]:
    def decode(file: HostileFile | Bomb) -> End:
        began = time.monotonic()
        try:
            given = decoders.decode(file.kind, file.content)
            assert given.data.size > 0
            code = "ok"
        except MediaError as error:
            code = error.code if error.message.endswith(".") else f"{error.code}, without a sentence"
        return End(file.name, code, time.monotonic() - began)

    with ThreadPoolExecutor(3) as threads:
        return list(threads.map(decode, files))


def assert_each_ends_as_it_may(decoders: Decoders, files: Iterable[HostileFile]) -> None:
    """Decodes them, prints how often each end came, and insists that there is no other."""
    pids = set(decoders.pids)
    ends = decode_all(decoders, files)
    counts = Counter(end.code for end in ends)
    slowest = max(ends, key=lambda end: end.seconds)
    print(f"{len(ends)} files: {dict(counts.most_common())}; slowest {slowest.seconds:.2f} s, {slowest.name}")  # noqa: T201
    assert {end.name: end.code for end in ends if end.code not in CODES} == {}
    # Processes that were replaced had filled their memory, or seen as many files as they may; none died of a file.
    memory = counts["decoding_needs_memory"]
    assert len(set(decoders.pids) - pids) <= 2 + memory + len(ends) // 1_000
    assert {"ok", "corrupt_audio", "corrupt_image", "not_audio", "truncated_audio"} <= counts.keys()


def test_every_format_is_taken_as_long_as_it_is_sound(decoders: Decoders) -> None:
    voices = [HostileFile(name, "voice", content) for name, content in recordings().items()]
    faces = [HostileFile(name, "face", content) for name, content in pictures().items()]
    assert {end.name: end.code for end in decode_all(decoders, voices + faces) if end.code != "ok"} == {}
    assert len(voices) >= 50 and len(faces) >= 20


def test_thousands_of_damaged_files_each_end_with_a_code(decoders: Decoders) -> None:
    assert_each_ends_as_it_may(decoders, hostile_files(2_000))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_tens_of_thousands_of_damaged_files_each_end_with_a_code(decoders: Decoders) -> None:
    assert_each_ends_as_it_may(decoders, hostile_files(50_000, first=2_000))


def test_bombs_and_files_that_name_others_end_with_a_code(decoders: Decoders) -> None:
    made = list(bombs())
    ends = {end.name: end for end in decode_all(decoders, made)}
    assert {bomb.name: ends[bomb.name].code for bomb in made if ends[bomb.name].code not in bomb.codes} == {}


@pytest.mark.soak
def test_the_largest_pictures_that_are_allowed_fit_into_the_memory_that_is(decoders: Decoders) -> None:
    assert {end.name: end.code for end in decode_all(decoders, large_pictures()) if end.code != "ok"} == {}


def test_nothing_that_a_file_names_is_opened(decoders: Decoders, tmp_path: Path) -> None:
    """A play list, or a film whose sound lies elsewhere, would otherwise read what the worker may read."""
    there = tmp_path / "there.wav"
    there.write_bytes(recordings()["wav-pcm_16"])
    lists = (
        f"ffconcat version 1.0\nfile '{there}'\n",
        f"#EXTM3U\n#EXTINF:9,\n{there}\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{there}\n#EXT-X-ENDLIST\n",
        f"<?xml version='1.0'?><MPD><BaseURL>{there}</BaseURL></MPD>",
    )
    files = [HostileFile(text, "voice", text.encode()) for text in lists]
    assert {end.code for end in decode_all(decoders, files)} == {"not_audio"}
