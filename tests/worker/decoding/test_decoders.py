"""Whatever a file does to the process that decodes it, its neighbours notice nothing, and it ends with a code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hostile import fragile
from tests.living import lives
from tests.worker.ml.test_audio import tone, wav
from tests.worker.ml.test_images import encoded, scene
from worker.decoding.bounds import Bounds
from worker.decoding.decoders import Decoders, DecodingUnavailable
from worker.decoding.process import Fault
from worker.inputs import read_input
from worker.ml.audio import Limits
from worker.ml.errors import AudioError, PictureError

BOUNDS = Bounds(memory_bytes=2**30, cpu_seconds=1, wall_seconds=30)


@pytest.fixture(scope="module")
def fragile_decoders() -> Iterator[Decoders]:
    """Two processes with a weakness for certain words, and little patience."""
    decoders = Decoders(2, BOUNDS, fragile.PROGRAM)
    yield decoders
    decoders.close()


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(2)
    yield decoders
    decoders.close()


def code_of(decoders: Decoders, content: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decoders.decode("voice", content)
    assert caught.value.message.endswith(".")
    return caught.value.code


def test_a_recording_comes_out_as_it_would_in_this_process(decoders: Decoders, tmp_path: Path) -> None:
    content = wav(tone(3.0, 44_100), 44_100)
    here = read_input("voice", content)
    there = decoders.decode("voice", content)
    assert np.array_equal(there.data, here.data) and there.data.flags.writeable
    assert there.duration_seconds == here.duration_seconds == pytest.approx(3.0)
    path = tmp_path / "voice.wav"
    path.write_bytes(content)
    assert np.array_equal(decoders.decode("voice", path).data, here.data)
    with path.open("rb", buffering=0) as file:
        assert np.array_equal(decoders.decode("voice", file).data, here.data)
        assert np.array_equal(decoders.decode("voice", file).data, here.data)  # wherever it stands


def test_a_picture_comes_out_as_it_would_in_this_process(decoders: Decoders) -> None:
    for kind in ("PNG", "JPEG", "AVIF", "WEBP"):
        content = encoded(Image.fromarray(scene()), kind)
        given = decoders.decode("face", content)
        assert np.array_equal(given.data, read_input("face", content).data)
        assert given.kind == "face" and given.duration_seconds is None and given.data.flags.writeable


def test_what_is_wrong_with_a_file_is_told_as_ever(decoders: Decoders, tmp_path: Path) -> None:
    assert code_of(decoders, b"") == "empty_file"
    assert code_of(decoders, b"this is a letter") == "not_audio"
    with pytest.raises(PictureError, match="not_image"):
        decoders.decode("face", b"this is a letter")
    with pytest.raises(AudioError, match="too_long"):
        decoders.decode("voice", wav(tone(3.0)), Limits(max_seconds=2.0))
    with pytest.raises(AudioError, match="unreadable_file"):
        decoders.decode("voice", tmp_path / "gone.wav")


def test_a_process_is_kept_for_the_next_file(decoders: Decoders) -> None:
    before = sorted(decoders.pids)
    for _ in range(6):
        decoders.decode("voice", wav(tone(0.6)))
    assert sorted(decoders.pids) == before and len(before) == 2


def test_files_that_crash_their_decoder_are_told_and_neighbours_are_heard(
    fragile_decoders: Decoders,
) -> None:
    good = wav(tone(0.6))
    with ThreadPoolExecutor(4) as threads:
        for weakness in (fragile.CRASH, fragile.EXIT, fragile.BE_KILLED):
            before = [threads.submit(fragile_decoders.decode, "voice", good) for _ in range(6)]
            bad = threads.submit(code_of, fragile_decoders, weakness)
            after = [threads.submit(fragile_decoders.decode, "voice", good) for _ in range(6)]
            assert bad.result() == "decoder_crashed"
            assert all(one.result().duration_seconds == pytest.approx(0.6) for one in [*before, *after])


@pytest.mark.parametrize("weakness", [fragile.SHORTEN, fragile.LONG])
def test_a_process_that_was_taken_over_is_not_believed(fragile_decoders: Decoders, weakness: bytes) -> None:
    assert code_of(fragile_decoders, weakness) == "decoder_crashed"


def test_a_file_is_not_charged_with_what_the_one_before_it_did(fragile_decoders: Decoders) -> None:
    good = wav(tone(0.6))
    for _ in range(2):  # neither process is fresh
        fragile_decoders.decode("voice", good)
    given = fragile_decoders.decode("voice", good + fragile.CRASH_IN_COMPANY)
    assert given.duration_seconds == pytest.approx(0.6)
    for _ in range(3):  # more than both could hold, were none tried again in a fresh one
        fragile_decoders.decode("voice", good + fragile.LEAK)


def test_a_file_that_keeps_its_decoder_busy_is_told(fragile_decoders: Decoders) -> None:
    assert code_of(fragile_decoders, fragile.COMPUTE) == "decoding_took_too_long"


def test_a_file_that_keeps_its_decoder_waiting_is_told() -> None:
    with Decoders(1, replace(BOUNDS, wall_seconds=0.5), fragile.PROGRAM) as decoders:
        assert code_of(decoders, fragile.WAIT) == "decoding_took_too_long"


def test_a_file_that_eats_memory_is_told(fragile_decoders: Decoders) -> None:
    assert code_of(fragile_decoders, fragile.EAT) == "decoding_needs_memory"


def test_a_fault_of_ours_is_told_with_its_trace_and_the_process_goes_on(fragile_decoders: Decoders) -> None:
    before = sorted(fragile_decoders.pids)
    with pytest.raises(Fault, match="nobody thought of this"):
        fragile_decoders.decode("voice", fragile.FAULT)
    assert set(before) <= set(fragile_decoders.pids)


def test_who_takes_over_a_decoder_finds_no_secret_and_can_start_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VOICESKETCH_SECRET_KEY", "very secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    with Decoders(1, BOUNDS, fragile.PROGRAM) as fresh, pytest.raises(Fault) as caught:
        fresh.decode("voice", fragile.SPY)
    said = str(caught.value)
    assert "VOICESKETCH" not in said and "AWS" not in said
    assert "program: refused" in said and "fork: Resource temporarily unavailable" in said
    assert "file: Too many open files" in said and "written: File too large" in said


def test_a_decoder_that_was_killed_between_two_files_is_replaced(decoders: Decoders) -> None:
    for pid in decoders.pids:
        os.kill(pid, signal.SIGKILL)
    given = decoders.decode("voice", wav(tone(0.6)))
    assert given.duration_seconds == pytest.approx(0.6)


def test_closing_ends_the_processes_and_whoever_waits_for_one() -> None:
    decoders = Decoders(1, program=fragile.PROGRAM)
    decoders.decode("voice", wav(tone(0.6)))
    pids = decoders.pids
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(decoders.decode, "voice", fragile.WAIT) for _ in range(2)]
        time.sleep(0.2)
        decoders.close()
        for one in waiting:
            with pytest.raises(DecodingUnavailable):
                one.result(60)
    assert not any(map(lives, pids))


def test_a_worker_that_is_killed_leaves_no_process_behind() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.leaving_worker"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    with worker:
        assert worker.stdout is not None
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        assert len(pids) == 2 and all(map(lives, pids))
        worker.kill()
    deadline = time.monotonic() + 30
    while any(map(lives, pids)):
        assert time.monotonic() < deadline, "they outlived their worker"
        time.sleep(0.02)


def test_where_no_process_can_be_started_it_is_not_the_file_that_is_told() -> None:
    with Decoders(1, program=("-c", "raise SystemExit(1)")) as decoders:
        for _ in range(2):
            with pytest.raises(DecodingUnavailable):
                decoders.decode("voice", wav(tone(0.6)))
