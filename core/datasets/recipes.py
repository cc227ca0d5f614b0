"""How a dataset is prepared, as checked data: which features of voices, which of faces, and how people are split.

A recipe is part of what a dataset version is named by: the same inputs and the same recipe make the same version.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Side = Literal["voice", "face"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
UNKNOWN = "unknown"  # the label of an attribute nobody told us


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VoiceRecipe(_Part):
    """What is kept of a recording."""

    features: tuple[Literal["ve_conv", "ast", "waveform"], ...] = Field(
        ("ve_conv",),
        min_length=1,
        description="Spectrograms for VE_conv, log-mel frames for the AST (not yet normalised), or the waveform.",
    )
    waveform_seconds: float = Field(6.0, ge=0.5, le=60, description="Length of kept waveforms, at most.")
    max_clips: int | None = Field(None, ge=1, description="Of one person, at most; the first by name.")


class FaceRecipe(_Part):
    """What is kept of a picture."""

    outputs: tuple[Literal["picture", "landmarks", "embedding"], ...] = Field(("picture",), min_length=1)
    crop: Literal["none", "face", "aligned"] = Field(
        "none",
        description="The whole picture, a square round the face, or the same turned so that the eyes are level.",
    )
    size: int = Field(224, ge=32, le=1024, description="Side of the kept picture in pixels.")
    several: Literal["reject", "largest"] = Field(
        "reject", description="What becomes of a picture with more than one face."
    )
    encoder: str | None = Field(
        None,
        max_length=160,
        description="The model that makes embeddings: an alias, a name, or name@version.",
    )

    @model_validator(mode="after")
    def _embeddings_need_an_encoder(self) -> Self:
        if "embedding" in self.outputs and not self.encoder:
            raise ValueError("embeddings need an encoder of faces: name one")
        return self


class SplitRecipe(_Part):
    """How people are divided. Nobody is ever in two parts."""

    train: float = Field(0.8, ge=0, le=1)
    validation: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)
    by: tuple[str, ...] = Field((), max_length=8, description="Attributes whose mix each part should share.")
    seed: int = Field(42, ge=0, le=2**32 - 1)
    keep: bool = Field(True, description="Take over the split that a manifest gives, where it gives one.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        return self


class Recipe(_Part):
    """Everything a dataset version depends on besides its inputs.

    `both_sides` leaves out people of whom only a voice or only a face is there.
    """

    voice: VoiceRecipe | None = VoiceRecipe()
    face: FaceRecipe | None = FaceRecipe()
    split: SplitRecipe = SplitRecipe()
    both_sides: bool = True
    shard_entries: int = Field(64, ge=1, le=4096, description="Inputs that are kept together in one file.")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.voice is None and self.face is None:
            raise ValueError("a recipe without voices and without faces prepares nothing")
        return self

    @property
    def needs_both(self) -> bool:
        """Whether a person with one side only is of no use."""
        return self.both_sides and self.voice is not None and self.face is not None
