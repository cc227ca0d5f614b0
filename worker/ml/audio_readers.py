"""Two ways into a recording: libsndfile for plain audio files, FFmpeg's libraries for containers and the rest.

Both offer the same small interface: what the file promises, a cheap check that the promise is kept, and the samples
block by block. libsndfile goes first because it is quicker and stricter.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
import numpy as np
import numpy.typing as npt
import soundfile

from worker.ml.audio_headers import looks_like_media, missing_bytes, mp3_length_is_written
from worker.ml.errors import AudioError

BLOCK_SECONDS = 1.0
RATES = range(1_000, 768_001)  # Hz; outside lies a broken header, not a recording
LARGEST_COPY = 1 << 26  # bytes of a recording that may be in memory twice
UNKNOWN_FRAMES = 1 << 48  # libsndfile answers with numbers like 2^63 when the header does not say
CLEARLY_MISSING_SHARE = 0.01  # encoders round and pad: a file is cut only when more than this
CLEARLY_MISSING_SECONDS = 0.1  # and more than this is missing

# Everything FFmpeg may take a file for. The list keeps out play lists and scripts, which could make it open other
# files or addresses, and still pictures.
DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpeg,mpegts,mpc,mpc8,ogg,rm,tak,tta,voc,w64,wav,wv,xwma"
)

GUESSED_LENGTHS = ("aac", "ac3", "eac3", "dts", "loas", "mpeg", "mpegts")

# What a damaged file makes PyAV raise: besides FFmpeg's own errors those of Python, such as IndexError for a packet of
# a stream that the header does not name.
_DAMAGE = (
    av.error.FFmpegError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

Block = npt.NDArray[np.float32]


class Reader(ABC):
    """A recording being read.

    Attributes:
        sample_rate: in Hz.
        channels: how many.
        promised_seconds: what the header says, or None when it does not say.
        read_seconds: how much `blocks` has produced so far.
    """

    sample_rate: int
    channels: int
    promised_seconds: float | None
    read_seconds: float = 0.0

    @abstractmethod
    def check_complete(self) -> None:
        """Raise `truncated_audio` when the file clearly ends before the promised end. Decodes next to nothing."""

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """The samples from the start, as float32 `[T, channels]` blocks of about a second."""


@contextmanager
def open_reader(source: bytes | Path | BinaryIO) -> Iterator[Reader]:
    """Open a recording with whichever library can read it.

    Args:
        source: the file's content, where it lies, or the file itself, unbuffered. It is closed in the end.
    """
    stream: BinaryIO
    try:
        # Unbuffered: libsndfile moves the descriptor itself, and a buffer would not know where it is afterwards.
        if isinstance(source, bytes):
            stream = _in_memory(source)
        elif isinstance(source, Path):
            stream = source.open("rb", buffering=0)
        else:
            stream = source
    except OSError as failure:
        reason = failure.strerror or str(failure)
        raise AudioError(
            "unreadable_file", f"The file cannot be opened ({reason}). Check its path and rights."
        ) from failure
    with stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if size == 0:
            raise AudioError("empty_file", "The file is empty (0 bytes). Copy or record it again.")
        missing = missing_bytes(stream, size)
        if missing > CLEARLY_MISSING_SHARE * (size + missing):
            raise _truncated(f"its header promises {missing:,} bytes more than the file holds")
        stream.seek(0)
        plain = _open_plain(stream)
        if plain is not None:
            with plain:
                yield PlainReader(plain)
            return
        stream.seek(0)
        length_is_written = mp3_length_is_written(stream)
        stream.seek(0)
        with _open_container(stream) as container:
            yield ContainerReader(container, length_is_written)


def _in_memory(content: bytes) -> BinaryIO:
    """A file without a disk: libsndfile reads it by its descriptor, where a Python object would be asked, interpreter
    lock in hand, for every few kilobytes.
    """
    if hasattr(os, "memfd_create") and len(content) <= LARGEST_COPY:
        with suppress(OSError):  # no descriptor is left: then the slower way
            file = os.fdopen(os.memfd_create("recording"), "r+b", buffering=0)
            file.write(content)
            return file
    return io.BytesIO(content)


class _PlainFile(soundfile.SoundFile):  # type: ignore[misc]  # it publishes no types
    """After every read, soundfile seeks to where the file already is, and for FLAC that decodes a block once more."""

    only_forward = False

    def seekable(self) -> bool:
        return not self.only_forward and bool(super().seekable())


class PlainReader(Reader):
    """WAV, AIFF, FLAC, Ogg and other plain audio files, through libsndfile."""

    def __init__(self, file: _PlainFile) -> None:
        self._file = file
        self.sample_rate = int(file.samplerate)
        self.channels = int(file.channels)
        _check_rate(self.sample_rate)
        frames = int(file.frames)
        self._frames = None if frames >= UNKNOWN_FRAMES else frames
        self.promised_seconds = None if self._frames is None else frames / self.sample_rate

    def check_complete(self) -> None:
        if self._frames is None or self._frames < 2 or not self._file.seekable():
            return
        slack = _slack(self._frames / self.sample_rate) * self.sample_rate
        probe = max(0, self._frames - 1 - int(slack))
        try:
            found = self._file.seek(probe) == probe and len(self._file.read(1, dtype="float32")) == 1
            self._file.seek(0)
        except soundfile.LibsndfileError:
            found = False
        if not found:
            raise _truncated(
                f"its header promises {self._frames / self.sample_rate:.1f} s but the end is not there"
            )

    def blocks(self) -> Iterator[Block]:
        size = max(1, round(BLOCK_SECONDS * self.sample_rate))
        done = 0
        self._file.only_forward = True
        # Never beyond the promised end: what tagging programs leave behind it is no sound, and no damage either.
        while wanted := size if self._frames is None else min(size, self._frames - done):
            try:
                block = self._file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as failure:
                raise _corrupt() from failure
            if len(block) == 0:
                break
            done += len(block)
            self.read_seconds = done / self.sample_rate
            yield block
        if (
            self._frames is not None
            and self._frames - done > _slack(self._frames / self.sample_rate) * self.sample_rate
        ):
            raise _corrupt()


class ContainerReader(Reader):
    """MP3, M4A, MP4, WebM, AMR, WMA and the like, through FFmpeg's libraries."""

    def __init__(self, container: av.container.InputContainer, length_is_written: bool) -> None:
        if not container.streams.audio:
            raise AudioError(
                "not_audio", "The file holds no sound. Send an audio file, or a video with a sound track."
            )
        self._container = container
        self._stream = container.streams.audio[0]
        context = self._stream.codec_context
        if context is None:
            raise AudioError(
                "corrupt_audio",
                "The recording is damaged, or its sound in a form that is not known. Export it again, as WAV or FLAC.",
            )
        context.thread_count = 1  # other recordings keep the other cores busy
        self.sample_rate = int(context.sample_rate or 0)
        self.channels = int(context.channels or 0)
        _check_rate(self.sample_rate)
        promised = None
        if self._stream.duration is not None and self._stream.time_base is not None:
            promised = float(self._stream.duration * self._stream.time_base)
        elif container.duration is not None:
            promised = container.duration / av.time_base
        # Streams of bare frames carry no length unless their first frame says so; FFmpeg then guesses one from the
        # first bit rate, and a guess is no promise.
        if container.format.name in GUESSED_LENGTHS or (
            container.format.name == "mp3" and not length_is_written
        ):
            promised = None
        self.promised_seconds = promised

    def check_complete(self) -> None:
        """Walk over the packets, which costs reading but no decoding, and see how far they go."""
        end = begin = None
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is None or packet.time_base is None:
                    continue
                start = float(packet.pts * packet.time_base)
                begin = start if begin is None else min(begin, start)
                length = float(packet.duration * packet.time_base) if packet.duration else 0.0
                end = max(end or 0.0, start + length)
            self._container.seek(0)
        except _DAMAGE as failure:
            raise _damage(failure) from failure
        if end is None or begin is None:
            raise _truncated("it has a header but no sound in it")
        there = end - min(begin, 0.0) if begin < 0 else end
        promised = self.promised_seconds
        if promised is not None and promised - there > _slack(promised):
            raise _truncated(f"its header promises {promised:.1f} s but only {there:.1f} s are there")
        if promised is None:
            self.promised_seconds = there

    def blocks(self) -> Iterator[Block]:
        size = max(1, round(BLOCK_SECONDS * self.sample_rate))
        waiting: list[Block] = []
        done = held = 0  # samples in all, and those that wait
        converter = av.AudioResampler(format="flt")  # sample format only; packed, so channels interleave
        try:
            for frame in self._container.decode(self._stream):
                for piece in converter.resample(frame):
                    samples = piece.to_ndarray().reshape(-1, len(piece.layout.channels))
                    waiting.append(samples.astype(np.float32))
                    done += len(samples)
                    held += len(samples)
                self.read_seconds = done / self.sample_rate
                if held >= size:
                    yield np.concatenate(waiting)
                    waiting, held = [], 0
        except _DAMAGE as failure:
            raise _damage(failure) from failure
        if waiting:
            yield np.concatenate(waiting)


def _open_plain(stream: BinaryIO) -> _PlainFile | None:
    try:
        # A file descriptor where there is one: libsndfile then reads by itself, without the interpreter lock.
        handle: Any = stream if isinstance(stream, io.BytesIO) else stream.fileno()
        file = _PlainFile(handle, closefd=False)
    except (soundfile.LibsndfileError, TypeError):
        return None
    if file.format == "MP3" or file.frames == 0:
        # Its MP3 decoder complains on standard error, from inside the library, about every seek. A WAV file that was
        # streamed and has zero for its length seems empty to libsndfile; FFmpeg plays it to its end.
        file.close()
        return None
    return file


@contextmanager
def _open_container(stream: BinaryIO) -> Iterator[av.container.InputContainer]:
    head = stream.read(64)
    stream.seek(0)
    try:
        container = av.open(
            stream, mode="r", options={"format_whitelist": DEMUXERS}, metadata_errors="replace"
        )
    except _DAMAGE as failure:
        if looks_like_media(head):
            raise _damage(failure) from failure
        raise AudioError(
            "not_audio",
            "The file is not a recording in a format we know. Send WAV, FLAC, MP3, M4A, Ogg or WebM.",
        ) from failure
    with container:
        yield container


def _check_rate(rate: int) -> None:
    if rate not in RATES:
        raise AudioError(
            "corrupt_audio", f"The header claims {rate} samples a second. Export the recording again."
        )


def _slack(seconds: float) -> float:
    return max(CLEARLY_MISSING_SECONDS, CLEARLY_MISSING_SHARE * seconds)


def _truncated(what: str) -> AudioError:
    return AudioError("truncated_audio", f"The recording is cut off: {what}. Copy or upload it again.")


def _damage(failure: Exception) -> AudioError:
    """What FFmpeg's complaint means. It runs out of memory where a header claims absurd sizes, or a limit is set."""
    return needs_memory() if isinstance(failure, MemoryError) else _corrupt()


def needs_memory() -> AudioError:
    """What is said where decoding a recording reached the limit of its memory."""
    return AudioError(
        "decoding_needs_memory",
        "Decoding the recording takes more memory than there is for one; it may be damaged. Export it again, as WAV or "
        "FLAC.",
    )


def _corrupt() -> AudioError:
    return AudioError(
        "corrupt_audio", "The recording is damaged and cannot be decoded. Export or copy it again."
    )
