"""Files made by hand to fill a memory, to keep a core busy, or to have other files opened, and what becomes of each."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
from PIL import Image

from tests.hostile.corpus import Kind
from tests.hostile.seeds import pictures, recordings


@dataclass(frozen=True)
class Bomb:
    """A malicious file, and the codes it may end with; `ok` where it is merely large."""

    name: str
    kind: Kind
    content: bytes
    codes: tuple[str, ...]


def bombs() -> Iterator[Bomb]:
    """Those that cost little to turn down, or to take."""
    for make, kind, codes in _BOMBS:
        yield Bomb(make.__name__, kind, make(), codes)


def large_pictures() -> Iterator[Bomb]:
    """Sound ones, as large as is allowed, of the kinds that take the most memory; a second or two each."""
    for make in (
        picture_as_large_as_allowed,
        greys_of_16_bits_as_large_as_allowed,
        picture_with_alpha_as_large_as_allowed,
        photograph_as_large_as_allowed,
    ):
        yield Bomb(make.__name__, "face", make(), ("ok",))


def picture_as_large_as_allowed() -> bytes:
    return _png(8000, 8000, 8, 2, b"\0" + bytes(3 * 8000))


def greys_of_16_bits_as_large_as_allowed() -> bytes:
    return _png(8000, 8000, 16, 0, b"\0" + bytes(2 * 8000))


def picture_with_alpha_as_large_as_allowed() -> bytes:
    return _png(8000, 8000, 8, 6, b"\0" + bytes(4 * 8000))


def photograph_as_large_as_allowed() -> bytes:
    """Turned, and of four colours: it is in the memory several times."""
    file, turned = io.BytesIO(), Image.Exif()
    turned[0x0112] = 6
    Image.new("CMYK", (8000, 8000), (20, 120, 200, 0)).save(file, "JPEG", exif=turned)
    return file.getvalue()


def picture_of_a_thousand_million_pixels() -> bytes:
    return _png(32_000, 32_000, 1, 0, b"\0" + bytes(4_000), rows=100)


def picture_with_a_text_that_unpacks_to_a_gigabyte() -> bytes:
    return _with_chunk(pictures()["png"], b"zTXt", b"Comment\0\0" + _squeezed_gigabyte())


def picture_with_a_profile_that_unpacks_to_a_gigabyte() -> bytes:
    return _with_chunk(pictures()["png"], b"iCCP", b"icc\0\0" + _squeezed_gigabyte())


def gif_that_claims_the_largest_screen() -> bytes:
    gif = bytearray(pictures()["gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    return bytes(gif)


def jpeg_that_claims_the_largest_sides() -> bytes:
    jpeg = bytearray(pictures()["jpeg-progressive"])
    at = jpeg.index(b"\xff\xc2")
    jpeg[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(jpeg)


def tiff_whose_directories_go_round_in_circles() -> bytes:
    tiff = bytearray(pictures()["tiff"])
    (at,) = struct.unpack("<I", tiff[4:8])
    (entries,) = struct.unpack("<H", tiff[at : at + 2])
    end = at + 2 + 12 * entries
    tiff[end : end + 4] = struct.pack("<I", at)
    return bytes(tiff)


def tiff_with_a_tag_of_four_thousand_million_numbers() -> bytes:
    tiff = bytearray(pictures()["tiff"])
    (at,) = struct.unpack("<I", tiff[4:8])
    tiff[at + 2 + 2 : at + 2 + 8] = struct.pack("<HI", 12, 0xFFFFFFFF)
    return bytes(tiff)


def animation_of_a_thousand_frames() -> bytes:
    gif = pictures()["gif"]
    begin, end = gif.index(b"\x21\xf9"), len(gif) - 1
    return gif[:begin] + gif[begin:end] * 1_000 + gif[end:]


def postscript_for_whoever_starts_ghostscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n%%EOF\n"


def drawing_that_names_an_address() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://169.254.169.254/latest/"/></svg>'


def hour_of_silence_in_a_small_file() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(3590 * 4_000, np.int16), 4_000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def hours_on_end_in_a_small_file() -> bytes:
    flac = bytearray(recordings()["flac-pcm_16"])
    flac[21] |= 0x0F
    flac[22:26] = b"\xff\xff\xff\xff"
    return bytes(flac)


def wave_of_thirty_two_channels_at_the_highest_rate() -> bytes:
    body = np.full((50_000, 32), 9_000, np.int16).tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 32, 768_000, 768_000 * 64, 64, 16)
    data = head + struct.pack("<4sI", b"data", 0xFFFFFFFF) + body
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + data


def wave_of_a_hundred_thousand_chunks() -> bytes:
    body = b"junk\0\0\0\0" * 100_000 + recordings()["wav-pcm_16"][12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def recording_of_frames_of_one_sample() -> bytes:
    """Each frame costs far more than its one sample is worth."""
    caf = recordings()["caf-pcm_s16be"]
    at = caf.index(b"lpcm") + 8
    return caf[:at] + struct.pack(">II", 2, 0x04000001) + caf[at + 8 :]


def film_with_a_table_of_four_thousand_million_entries() -> bytes:
    film = bytearray(recordings()["ipod-aac"])
    for table, before_count in ((b"stsz", 8), (b"stts", 4), (b"stsc", 4), (b"stco", 4)):
        at = film.index(table) + 4 + before_count
        film[at : at + 4] = b"\x0f\xff\xff\xff"
    return bytes(film)


def film_of_boxes_within_boxes() -> bytes:
    box = b""
    for _ in range(20_000):
        box = struct.pack(">I4s", 8 + len(box), b"moov") + box if len(box) < 100_000 else box
    return recordings()["ipod-aac"][:32] + box


def film_whose_sound_lies_in_another_file() -> bytes:
    film = recordings()["mov-pcm_s16le"]
    at = film.index(b"dref")
    (size,) = struct.unpack(">I", film[at - 4 : at])
    path = b"/etc/passwd\0"
    entry = struct.pack(">I4sI", 12 + len(path), b"url ", 0) + path
    there = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    return film[: at - 4] + there + film[at - 4 + size :]


def tag_of_two_hundred_megabytes() -> bytes:
    return b"ID3\x04\0\0\x5f\x5f\x5f\x5f" + recordings()["mp3-libmp3lame"]


def play_list_of_other_files() -> bytes:
    return b"ffconcat version 1.0\nfile '/etc/passwd'\nfile 'http://127.0.0.1:1/x.wav'\n"


def play_list_of_addresses() -> bytes:
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://169.254.169.254/latest/meta-data\n#EXT-X-ENDLIST\n"


def description_of_a_stream_elsewhere() -> bytes:
    return b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"


def subtitles() -> bytes:
    return b"[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:00:00.00,0:00:05.00,x,,0,0,0,,hello\n"


_NO_PICTURE = ("not_image", "corrupt_image")
_NO_SOUND = ("not_audio", "corrupt_audio", "truncated_audio", "decoding_needs_memory")
_BOMBS: tuple[tuple[Callable[[], bytes], Kind, tuple[str, ...]], ...] = (
    (picture_of_a_thousand_million_pixels, "face", ("image_too_large",)),
    (picture_with_a_text_that_unpacks_to_a_gigabyte, "face", ("corrupt_image",)),
    (picture_with_a_profile_that_unpacks_to_a_gigabyte, "face", ("corrupt_image", "ok")),
    (gif_that_claims_the_largest_screen, "face", ("image_too_large",)),
    (jpeg_that_claims_the_largest_sides, "face", ("image_too_large",)),
    (tiff_whose_directories_go_round_in_circles, "face", ("ok", "corrupt_image")),
    (tiff_with_a_tag_of_four_thousand_million_numbers, "face", ("ok", *_NO_PICTURE)),
    (animation_of_a_thousand_frames, "face", ("ok",)),
    (postscript_for_whoever_starts_ghostscript, "face", ("not_image",)),
    (drawing_that_names_an_address, "face", ("not_image",)),
    (hour_of_silence_in_a_small_file, "voice", ("no_speech",)),
    (hours_on_end_in_a_small_file, "voice", ("too_long", "truncated_audio")),
    (wave_of_thirty_two_channels_at_the_highest_rate, "voice", ("too_short",)),
    (wave_of_a_hundred_thousand_chunks, "voice", ("ok", *_NO_SOUND)),
    (recording_of_frames_of_one_sample, "voice", ("ok", *_NO_SOUND)),
    (film_with_a_table_of_four_thousand_million_entries, "voice", _NO_SOUND),
    (film_of_boxes_within_boxes, "voice", _NO_SOUND),
    (film_whose_sound_lies_in_another_file, "voice", ("ok", *_NO_SOUND)),
    (tag_of_two_hundred_megabytes, "voice", ("too_short", *_NO_SOUND)),
    (play_list_of_other_files, "voice", ("not_audio",)),
    (play_list_of_addresses, "voice", ("not_audio",)),
    (description_of_a_stream_elsewhere, "voice", ("not_audio",)),
    (subtitles, "voice", ("not_audio",)),
)


def _png(width: int, height: int, bits: int, colour: int, row: bytes, rows: int | None = None) -> bytes:
    squeezer = zlib.compressobj(1)
    body = b"".join(squeezer.compress(row) for _ in range(rows or height)) + squeezer.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _squeezed_gigabyte() -> bytes:
    squeezer = zlib.compressobj(9)
    first = squeezer.compress(bytes(2**20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    again = squeezer.compress(bytes(2**20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return first + again * 1023


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    after_header = 8 + 25
    assert Image.open(io.BytesIO(png)).format == "PNG"
    return png[:after_header] + _chunk(name, content) + png[after_header:]
