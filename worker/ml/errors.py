"""What can go wrong with an input or a model, as a short family with stable codes.

The codes are a contract: they are stored with every failed item and shown on pages. The messages are for the person
who sent the file, so each one says what to do next. `worker.ml` knows nothing of `core`; the runner translates these
into the service's own errors at the edge.
"""

from __future__ import annotations


class MediaError(Exception):
    """A recording or a model cannot be used.

    Attributes:
        code: stable, machine-readable name of the reason.
        message: one sentence for a person, with what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str]]:
        # The default would call the class with one argument and fail to cross a process boundary.
        return type(self), (self.code, self.message)


class AudioError(MediaError):
    """The recording itself is at fault; trying again cannot help.

    Codes: `unreadable_file`, `empty_file`, `not_audio`, `truncated_audio`, `corrupt_audio`, `too_short`, `no_speech`,
    `too_long`, `too_many_channels`, `decoding_needs_memory`; from processes with limits also `decoder_crashed` and
    `decoding_took_too_long`.
    """


class PictureError(MediaError):
    """The picture itself is at fault; trying again cannot help.

    Codes: `unreadable_file`, `not_image`, `corrupt_image`, `image_too_large`, `no_face`, `several_faces`,
    `decoding_needs_memory`; from processes with limits also `decoder_crashed` and `decoding_took_too_long`.
    """


class ArrayError(MediaError):
    """An array that was made before is not what it should be.

    Codes: `bad_array`.
    """


class DatasetError(MediaError):
    """A prepared dataset's files are missing or not those it was made of.

    Codes: `dataset_not_found`, `dataset_mismatch`.
    """


class ModelError(MediaError):
    """The model's files are missing or do not belong together, it cannot do what is asked, or has nowhere to run.

    Codes: `model_not_found`, `checkpoint_mismatch`, `models_do_not_fit`, `cannot_draw`, `not_a_face_encoder`,
    `device_not_found`.
    """


class RecipeError(MediaError):
    """What a training is asked to do cannot be done.

    Codes: `invalid_recipe`.
    """

    def __init__(self, message: str, code: str = "invalid_recipe") -> None:
        super().__init__(code, message)

    def __reduce__(self) -> tuple[type[RecipeError], tuple[str, str]]:
        return type(self), (self.message, self.code)
