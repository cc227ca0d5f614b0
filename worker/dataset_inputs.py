"""One input of a dataset: fetched, checked, decoded and cut, or turned down with a reason.

Whatever is wrong with an input is a reason in the report. Only trouble of the surroundings is raised: a full disk, no
memory, a store that cannot be reached.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.datasets.plan import Entry
from core.datasets.recipes import FaceRecipe, Recipe
from core.errors import NotFound, TooLarge
from worker.inputs import Decode
from worker.ml.errors import ArrayError, AudioError, PictureError
from worker.ml.images import Rgb, picture_png
from worker.ml.networks.pretrained import Encoder
from worker.ml.preparation.arrays import read_array
from worker.ml.preparation.faces import (
    EMBEDDING,
    LANDMARK_NUMBERS,
    LANDMARKS,
    ORIGINAL_SIDE,
    PICTURE,
    FaceCutter,
)
from worker.ml.preparation.voices import SHAPES, VoiceFeatures, loudness_dbfs

Fetch = Callable[[str, str | None], bytes]

EMBEDDING_LENGTH = 4096  # of embeddings made before, where no encoder says otherwise
# What an OSError may mean that is not the fault of the file at hand.
_SURROUNDINGS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT})


class Changed(Exception):
    """An input changed while it was read, or is no longer what was planned."""


@dataclass
class Input:
    """An entry on its way: read, then computed, then written.

    Attributes:
        number: of the entry in the dataset.
        sha256: of the content; empty where it could not be fetched.
        reject: reason and message, where it cannot be used.
        waveform: to make features of, together with others.
        to_embed: the kept picture, where the encoder of faces is to see it.
        members: what is kept, by kind.
        notes: what is known of the input.
    """

    number: int
    entry: Entry
    sha256: str = ""
    reject: tuple[str, str] | None = None
    waveform: npt.NDArray[np.float32] | None = None
    to_embed: Rgb | None = None
    members: dict[str, npt.NDArray[np.float32] | bytes] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class InputReader:
    """From an entry to what is needed of it, in whichever thread. Never raises because of the input itself."""

    def __init__(
        self,
        recipe: Recipe,
        voice: VoiceFeatures | None,
        cutter: FaceCutter | None,
        encoder: Encoder | None,
        decode: Decode,
    ) -> None:
        self._decode = decode
        self._recipe, self._voice, self._cutter = recipe, voice, cutter
        self._embedding_length = EMBEDDING_LENGTH if encoder is None else encoder.embedding_length

    def read(self, number: int, entry: Entry, fetch: Fetch) -> Input:
        one = Input(number, entry)
        try:
            content, one.sha256 = _fetch(entry.key, entry.source, fetch)
            if entry.form == "recording":
                self._hear(one, content)
            elif entry.form == "picture":
                self._look(one, content, fetch)
            else:
                self._take_over(one, content)
        except (AudioError, PictureError, ArrayError) as error:
            one.reject = error.code, error.message
        except Changed:
            one.reject = (
                "changed_while_read",
                "The file changed while it was read. Prepare again when it is settled.",
            )
        except (NotFound, TooLarge) as error:
            one.reject = "unreadable_file", error.message
        except OSError as failure:
            if failure.errno in _SURROUNDINGS or isinstance(failure, ConnectionError | TimeoutError):
                raise
            reason = failure.strerror or type(failure).__name__
            one.reject = "unreadable_file", f"The file cannot be read ({reason}). Check its path and rights."
        return one

    def _hear(self, one: Input, content: bytes) -> None:
        assert self._voice is not None, "the plan holds recordings although the recipe takes no voices"
        heard = self._decode("voice", content, self._voice.limits)
        waveform = self._voice.used(heard.data)
        if self._voice.one_by_one:
            one.members |= self._voice.of([waveform])[0]
        else:
            one.waveform = waveform
        one.notes |= {
            "duration_seconds": round(heard.duration_seconds or 0.0, 3),
            "loudness_dbfs": round(loudness_dbfs(waveform), 2),
            "sample_rate": heard.sample_rate,
            "channels": heard.channels,
        }

    def _look(self, one: Input, content: bytes, fetch: Fetch) -> None:
        recipe, cutter = self._recipe.face, self._cutter
        assert recipe is not None, "the plan holds pictures although the recipe takes no faces"
        assert cutter is not None, "without a recipe of faces there is nothing to cut them by"
        picture = self._decode("face", content, None)
        height, width = picture.data.shape[:2]
        one.notes |= {"width": width, "height": height, "format": picture.format}
        if picture.frames > 1:
            one.notes["frames"] = picture.frames  # only the first was taken
        kept = cutter.keep(picture.data, landmarks=wants_landmarks(recipe, one.entry))
        if kept.faces is not None:
            one.notes["faces"] = kept.faces
        if PICTURE in recipe.outputs:
            one.members[PICTURE] = picture_png(kept.rgb)
        if LANDMARKS in recipe.outputs:
            one.members[LANDMARKS] = (
                kept.landmarks if kept.landmarks is not None else self._given_landmarks(one, recipe, fetch)
            )
        if EMBEDDING in recipe.outputs:
            if EMBEDDING in one.entry.companions:
                one.members[EMBEDDING] = self._companion(one, EMBEDDING, (self._embedding_length,), fetch)
            else:
                one.to_embed = kept.rgb

    def _given_landmarks(self, one: Input, recipe: FaceRecipe, fetch: Fetch) -> npt.NDArray[np.float32]:
        """Landmarks made before are in pixels of a picture of 224; here they come in those of the kept one."""
        points = self._companion(one, LANDMARKS, (LANDMARK_NUMBERS,), fetch)
        if recipe.size == ORIGINAL_SIDE:
            return points
        return ((points + 0.5) * (recipe.size / ORIGINAL_SIDE) - 0.5).astype(np.float32)

    def _companion(
        self, one: Input, what: str, shape: tuple[int, ...], fetch: Fetch
    ) -> npt.NDArray[np.float32]:
        key, source = one.entry.companions[what]
        try:
            content, sha256 = _fetch(key, source, fetch)
            array = read_array(key, content, [shape])
        except ArrayError as error:
            raise ArrayError(error.code, f"Its companion {key}: {error.message}") from error
        one.notes.setdefault("companions", {})[what] = sha256
        return array

    def _take_over(self, one: Input, content: bytes) -> None:
        """An array instead of what it was made of. It holds one feature, so the recipe must ask for no more."""
        voice, face = self._recipe.voice, self._recipe.face
        asked: tuple[str, ...]
        shapes: dict[str, tuple[int, ...]]
        if one.entry.side == "voice":
            asked = voice.features if voice is not None else ()
            shapes = {name: SHAPES[name] for name in asked if name in SHAPES}
        else:
            asked = face.outputs if face is not None else ()
            shapes = {EMBEDDING: (self._embedding_length,)} if EMBEDDING in asked else {}
        if len(asked) != 1 or not shapes:
            raise ArrayError(
                "bad_array",
                f"An array cannot give what the recipe asks for ({', '.join(asked)}). "
                "Prepare from what it was made of.",
            )
        [(what, shape)] = shapes.items()
        one.members[what] = read_array(one.entry.key, content, [shape])


def wants_landmarks(recipe: FaceRecipe, entry: Entry) -> bool:
    """Whether they have to be found. Those made before belong to the whole picture and are useless in a cut."""
    given = LANDMARKS in entry.companions and recipe.crop == "none"
    return LANDMARKS in recipe.outputs and not given


def _fetch(key: str, source: str | None, fetch: Fetch) -> tuple[bytes, str]:
    content = fetch(key, source)
    sha256 = hashlib.sha256(content).hexdigest()
    if source is not None and sha256 != source:
        raise Changed
    return content, sha256
